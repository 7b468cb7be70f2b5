//! Where the nodes of kind and minikube are that are containers: under a dockerd of podferry's own, in a node of its own, which
//! ends with the node, and all of its containers with it; or under the user's.

use crate::node::{Program, SharedNode};
use crate::process::{Exec, Output};
use crate::provider::Provider;
use crate::provider::hierarchies::Hierarchies;
use crate::provider::local::{LocalConfig, LocalProvider};
use crate::record::{Chain, Failure};
use bollard::query_parameters::{BuildImageOptionsBuilder, InspectContainerOptions};
use bollard::{API_DEFAULT_VERSION, Docker};
use futures_util::StreamExt;
use serde_json::json;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

const NAME: &str = "dock";
const HOME: &str = "/data/dock";
const SOCKET: &str = "/run/docker.sock";
/// Where the program that makes the cluster is seen.
const TOOLS: &str = "/opt/podferry";
/// dockerd answers after 2 s on a busy machine.
const READY_LIMIT: Duration = Duration::from_secs(60);
const READY_POLL: Duration = Duration::from_millis(20);
/// The image is a gigabyte, and written several times.
const BUILD_LIMIT: u64 = 600;
const DELETE_LIMIT: Duration = Duration::from_secs(120);
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A dockerd, and where it is.
pub(in crate::provider) struct Dock {
    place: Place,
    docker: Docker,
}

enum Place {
    /// In a node of podferry's.
    Node {
        provider: LocalProvider,
        node: SharedNode,
        tool: PathBuf,
        hierarchies: Hierarchies,
        _dockerd: Box<dyn Program>,
    },
    /// On this machine, the user's.
    Host { socket: PathBuf, tool: PathBuf, work: tempfile::TempDir },
}

/// A container, as its dockerd tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::provider) struct Container {
    /// The first process, by its id where dockerd is.
    pub(in crate::provider) pid: u32,
    pub(in crate::provider) address: Ipv4Addr,
}

impl Dock {
    /// Makes the node and starts dockerd in it. `tool`: the program that makes the cluster, on the host.
    pub(in crate::provider) async fn up(config: LocalConfig, tool: &Path) -> Result<Dock, Failure> {
        let mut config = config;
        let inside = Path::new(TOOLS).join(tool.file_name().unwrap_or_default());
        config.binds.push((tool.to_owned(), inside.clone()));
        let hierarchies = Hierarchies::claim(&config.claims)?;
        let provider = LocalProvider::new(config)?;
        let node = provider.node(NAME).await?;
        let started = start(&node).await;
        match started {
            Ok((docker, dockerd)) => {
                let place = Place::Node { provider, node, tool: inside, hierarchies, _dockerd: dockerd };
                Ok(Dock { place, docker })
            }
            Err(e) => {
                // The first error is the one to tell.
                let _ = provider.down(NAME).await;
                let _ = hierarchies.end().await;
                Err(e)
            }
        }
    }

    /// The user's dockerd on this machine, by its socket. `docker` must be on the path.
    pub(in crate::provider) async fn of_user(socket: &Path, tool: &Path) -> Result<Dock, Failure> {
        let cannot = format!("can't use dockerd at {}", socket.display());
        let connected = Docker::connect_with_unix(&socket.to_string_lossy(), BUILD_LIMIT, API_DEFAULT_VERSION);
        let docker = connected.map_err(|e| failure(&cannot, &e))?;
        let docker = docker.negotiate_version().await.map_err(|e| failure(&cannot, &e))?;
        let work = tempfile::tempdir().map_err(|e| failure("can't make a temporary folder", &e))?;
        Ok(Dock { place: Place::Host { socket: socket.to_owned(), tool: tool.to_owned(), work }, docker })
    }

    /// Ends all of it: the node with all that is in it, or of the user's dockerd the kind cluster alone.
    pub(in crate::provider) async fn down(self, cluster: &str) -> Result<(), Failure> {
        let delete = Exec::new(self.tool()).args(["delete", "cluster", "--name", cluster]);
        self.end(delete, &format!("the kind cluster {cluster}")).await
    }

    /// Ends all of it: the node with all that is in it, or of the user's dockerd what the tool deletes.
    pub(in crate::provider) async fn end(self, delete: Exec, what: &str) -> Result<(), Failure> {
        if let Place::Node { provider, hierarchies, .. } = &self.place {
            provider.down(NAME).await?;
            return hierarchies.end().await;
        }
        let output = self.output(delete.timeout(DELETE_LIMIT)).await?;
        if output.code == 0 {
            return Ok(());
        }
        let said = [output.stdout, output.stderr].concat();
        Err(Failure::surroundings(format!("can't remove {what}: {}", String::from_utf8_lossy(&said).trim())))
    }

    pub(in crate::provider) fn host_path(&self, inside: &Path) -> PathBuf {
        match &self.place {
            Place::Node { node, .. } => node.host_path(inside),
            Place::Host { .. } => inside.to_owned(),
        }
    }

    /// A folder of its own where dockerd is.
    pub(in crate::provider) fn folder(&self, name: &str) -> PathBuf {
        match &self.place {
            Place::Node { .. } => Path::new(HOME).join(name),
            Place::Host { work, .. } => work.path().join(name),
        }
    }

    /// The program that makes the cluster, where dockerd is.
    pub(in crate::provider) fn tool(&self) -> &Path {
        match &self.place {
            Place::Node { tool, .. } | Place::Host { tool, .. } => tool,
        }
    }

    /// Runs a program where dockerd is; its output, whatever its exit code.
    pub(in crate::provider) async fn output(&self, exec: Exec) -> Result<Output, Failure> {
        let output = match &self.place {
            Place::Node { node, .. } => {
                let exec = exec.env("PATH", PATH).env("HOME", "/root").env("DOCKER_HOST", format!("unix://{SOCKET}"));
                node.output(exec).await
            }
            Place::Host { socket, .. } => {
                exec.env("DOCKER_HOST", format!("unix://{}", socket.display())).output().await
            }
        };
        output.map_err(|e| Failure::surroundings(Chain(&e).to_string()))
    }

    /// Whether it has an image of this name.
    pub(in crate::provider) async fn has(&self, image: &str) -> bool {
        self.docker.inspect_image(image).await.is_ok()
    }

    /// Builds an image of a folder that has a `Dockerfile`; `folder` is a path on the host.
    pub(in crate::provider) async fn build(&self, folder: &Path, name: &str) -> Result<(), Failure> {
        let cannot = format!("can't build the image {name}");
        let context = folder.join("context.tar");
        let packed = {
            let (folder, context) = (folder.to_owned(), context.clone());
            tokio::task::spawn_blocking(move || pack(&folder, &context)).await
        };
        let packed = packed.map_err(std::io::Error::other).flatten();
        packed.map_err(|e| failure(&cannot, &e))?;
        let file = tokio::fs::File::open(&context).await.map_err(|e| failure(&cannot, &e))?;
        // No network: nothing in it asks for one.
        let options = BuildImageOptionsBuilder::new().t(name).rm(true).networkmode("none").build();
        let body = bollard::body_try_stream(tokio_util::io::ReaderStream::with_capacity(file, 1 << 20));
        let mut said = Box::pin(self.docker.build_image(options, None, Some(body)));
        let mut lines = Vec::new();
        while let Some(step) = said.next().await {
            let step = step.map_err(|e| Failure { log: lines.clone(), ..failure(&cannot, &e) })?;
            lines.extend(step.stream.map(|line| line.trim_end().to_owned()).filter(|line| !line.is_empty()));
            if let Some(error) = step.error_detail.and_then(|e| e.message) {
                return Err(Failure { log: lines, ..Failure::surroundings(format!("{cannot}: {error}")) });
            }
        }
        Ok(())
    }

    /// A container of this name.
    pub(in crate::provider) async fn container(&self, name: &str) -> Result<Container, Failure> {
        let cannot = format!("can't find the container {name}");
        let seen = self.docker.inspect_container(name, None::<InspectContainerOptions>).await;
        let seen = seen.map_err(|e| failure(&cannot, &e))?;
        let pid = seen.state.and_then(|state| state.pid).and_then(|pid| u32::try_from(pid).ok());
        let networks = seen.network_settings.and_then(|settings| settings.networks).unwrap_or_default();
        let address = networks.into_values().find_map(|network| network.ip_address?.parse().ok());
        match (pid.filter(|pid| *pid > 0), address) {
            (Some(pid), Some(address)) => Ok(Container { pid, address }),
            _ => Err(Failure::surroundings(format!("{cannot}: it does not run, or has no address"))),
        }
    }

    /// The namespaces of a process where dockerd is, as a path on the host.
    pub(in crate::provider) fn namespaces(&self, pid: u32) -> PathBuf {
        self.host_path(Path::new(&format!("/proc/{pid}/ns")))
    }
}

async fn start(node: &SharedNode) -> Result<(Docker, Box<dyn Program>), Failure> {
    let cannot = format!("can't start dockerd on node {}", node.name());
    let config = json!({
        "data-root": format!("{HOME}/docker"),
        "exec-root": "/run/docker",
        "hosts": [format!("unix://{SOCKET}")],
        // The node forwards already, and its switch may be none that dockerd may turn.
        "ip-forward": false,
    });
    let home = node.host_path(Path::new(HOME));
    let written =
        std::fs::create_dir_all(&home).and_then(|()| std::fs::write(home.join("daemon.json"), format!("{config:#}\n")));
    written.map_err(|e| failure(&cannot, &e))?;
    let exec = Exec::new("dockerd").args(["--config-file", &format!("{HOME}/daemon.json")]).env("PATH", PATH);
    let log = Path::new(HOME).join("dockerd.log");
    let mut dockerd = node.spawn(exec, &log).await.map_err(|e| failure(&cannot, &e))?;
    let socket = node.host_path(Path::new(SOCKET));
    let answers = async {
        loop {
            let docker = Docker::connect_with_unix(&socket.to_string_lossy(), BUILD_LIMIT, API_DEFAULT_VERSION);
            if let Ok(docker) = docker
                && let Ok(docker) = docker.negotiate_version().await
                && docker.ping().await.is_ok()
            {
                return docker;
            }
            tokio::time::sleep(READY_POLL).await;
        }
    };
    let why = tokio::select! {
        answered = tokio::time::timeout(READY_LIMIT, answers) => match answered {
            Ok(docker) => return Ok((docker, dockerd)),
            Err(_) => format!("it does not answer within {READY_LIMIT:?}"),
        },
        ended = dockerd.wait() => match ended {
            Ok(code) => format!("it ended with {code}"),
            Err(e) => e.to_string(),
        },
    };
    let said = std::fs::read_to_string(node.host_path(&log)).unwrap_or_default();
    let lines: Vec<String> = said.lines().map(str::to_owned).collect();
    let log = lines[lines.len().saturating_sub(12)..].to_vec();
    Err(Failure { log, ..Failure::surroundings(format!("{cannot}: {why}")) })
}

fn pack(folder: &Path, context: &Path) -> std::io::Result<()> {
    let mut tar = tar::Builder::new(std::io::BufWriter::with_capacity(1 << 20, std::fs::File::create(context)?));
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_owned();
        if path.is_dir() {
            tar.append_dir_all(name, path)?;
        } else if path != *context {
            tar.append_path_with_name(path, name)?;
        }
    }
    std::io::Write::flush(&mut tar.into_inner()?)
}

fn failure(cannot: &str, e: &dyn std::error::Error) -> Failure {
    Failure::surroundings(format!("{cannot}: {}", Chain(e)))
}
