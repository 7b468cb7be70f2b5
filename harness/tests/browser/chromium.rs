//! A headless Chromium, driven by its own protocol (CDP) over a WebSocket. The crates that wrap the protocol generate all of
//! it, which takes longer to compile than all that podferry needs together; a dozen of its calls are enough here.

use serde_json::{Value, json};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tungstenite::{Message, WebSocket};

/// Whatever takes longer has hung.
const PATIENCE: Duration = Duration::from_secs(60);
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// A browser with one page.
pub(crate) struct Browser {
    child: Child,
    socket: WebSocket<TcpStream>,
    session: String,
    calls: u64,
    /// What the page told since it was opened.
    pub(crate) told: Vec<Value>,
    _profile: TempDir,
}

impl Browser {
    /// Starts the browser that `PODFERRY_BROWSER` names, or one that is on the path.
    pub(crate) fn start() -> Browser {
        let program = program().expect(
            "no browser on the path (chromium, google-chrome): install Debian's package chromium, or name one in PODFERRY_BROWSER",
        );
        let profile = tempfile::tempdir().expect("a folder for the profile");
        let child = Command::new(&program)
            // Root has no sandbox in it; the page is our own.
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"])
            .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
            .args(["--remote-debugging-port=0", "about:blank"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            // What it leaves behind when it is killed goes with the profile.
            .env("TMPDIR", profile.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap_or_else(|e| panic!("{}: {e}", program.display()));
        let address = address(profile.path());
        let stream = TcpStream::connect(("127.0.0.1", address.0)).expect("the browser listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let (socket, _) = tungstenite::client(format!("ws://127.0.0.1:{}{}", address.0, address.1), stream)
            .unwrap_or_else(|e| panic!("the browser's WebSocket: {e}"));
        let mut browser =
            Browser { child, socket, session: String::new(), calls: 0, told: Vec::new(), _profile: profile };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"}));
        let id = target["targetId"].clone();
        let session = browser.call("Target.attachToTarget", json!({"targetId": id, "flatten": true}));
        browser.session = session["sessionId"].as_str().expect("a session").to_owned();
        for domain in ["Page", "Runtime", "Network", "Log"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        browser
    }

    /// The size of the window, in CSS pixels, and the colours that the user prefers.
    pub(crate) fn look(&mut self, width: u32, scheme: &str) {
        let size = json!({"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 600});
        self.call("Emulation.setDeviceMetricsOverride", size);
        let media = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.call("Emulation.setEmulatedMedia", media);
    }

    /// Opens a file, and waits until it has loaded.
    pub(crate) fn open(&mut self, file: &Path) {
        self.told.clear();
        let loaded = |v: &Value| v["method"] == "Page.loadEventFired";
        let gone = self.call("Page.navigate", json!({"url": url(file)}));
        assert!(gone.get("errorText").is_none(), "{gone}");
        let begin = Instant::now();
        while !self.told.iter().any(loaded) {
            assert!(begin.elapsed() < PATIENCE, "the page does not load");
            let event = self.read();
            self.told.push(event);
        }
    }

    /// What an expression comes to in the page.
    pub(crate) fn eval(&mut self, expression: &str) -> Value {
        let asked = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let answer = self.call("Runtime.evaluate", asked);
        assert!(answer.get("exceptionDetails").is_none(), "{expression}: {answer}");
        answer["result"]["value"].clone()
    }

    /// Types text into what has the focus.
    pub(crate) fn type_text(&mut self, text: &str) {
        self.call("Input.insertText", json!({"text": text}));
    }

    /// A picture of the whole page, or of what is in the window, if `PODFERRY_SCREENSHOTS` names a folder for them.
    pub(crate) fn picture(&mut self, name: &str, whole: bool) {
        use base64::Engine as _;
        let Some(folder) = std::env::var_os("PODFERRY_SCREENSHOTS") else { return };
        let taken = self.call("Page.captureScreenshot", json!({"captureBeyondViewport": whole}));
        let bytes = base64::engine::general_purpose::STANDARD.decode(taken["data"].as_str().expect("a picture"));
        std::fs::write(Path::new(&folder).join(format!("{name}.png")), bytes.expect("base64")).expect("it is written");
    }

    fn call(&mut self, method: &str, params: Value) -> Value {
        self.calls += 1;
        let mut asked = json!({"id": self.calls, "method": method, "params": params});
        if !self.session.is_empty() {
            asked["sessionId"] = json!(self.session);
        }
        self.socket.send(Message::text(asked.to_string())).unwrap_or_else(|e| panic!("{method}: {e}"));
        loop {
            let came = self.read();
            if came["id"] == self.calls {
                assert!(came.get("error").is_none(), "{method}: {}", came["error"]);
                return came["result"].clone();
            }
            self.told.push(came);
        }
    }

    fn read(&mut self) -> Value {
        loop {
            let message = self.socket.read().unwrap_or_else(|e| panic!("the browser said nothing: {e}"));
            if let Message::Text(text) = message {
                return serde_json::from_str(&text).expect("JSON");
            }
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // All of its processes: one that outlives it writes into the profile while that is removed.
        let group = i32::try_from(self.child.id()).map(nix::unistd::Pid::from_raw);
        let _ = group.map(|group| nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGKILL));
        let _ = self.child.wait();
    }
}

/// A file's address.
pub(crate) fn url(file: &Path) -> String {
    format!("file://{}", file.display())
}

fn program() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("PODFERRY_BROWSER") {
        return Some(PathBuf::from(named));
    }
    let path = std::env::var_os("PATH")?;
    let all = || std::env::split_paths(&path);
    NAMES.iter().find_map(|name| all().map(|folder| folder.join(name)).find(|file| file.is_file()))
}

/// The port and the path that the browser writes down once it listens.
fn address(profile: &Path) -> (u16, String) {
    let begin = Instant::now();
    loop {
        let text = std::fs::read_to_string(profile.join("DevToolsActivePort")).unwrap_or_default();
        let mut lines = text.lines();
        if let (Some(port), Some(path)) = (lines.next().and_then(|p| p.parse().ok()), lines.next()) {
            return (port, path.to_owned());
        }
        assert!(begin.elapsed() < PATIENCE, "the browser does not listen");
        std::thread::sleep(Duration::from_millis(20));
    }
}
