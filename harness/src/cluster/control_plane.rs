//! The programs of a control plane, on a node.

use super::failure;
use super::kubeconfig;
use super::pki::{self, Authority, MASTERS};
use crate::node::{Program, SharedNode};
use crate::process::Exec;
use crate::record::Failure;
use futures_util::future::select_all;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use tokio::sync::Mutex;

/// Where the programs of Kubernetes lie in a node, each by its own name.
pub const PROGRAMS: &str = "/opt/kubernetes";

/// Keys lie in memory. What is said goes there too: the node's `/data` may be limited.
const HOME: &str = "/run/podferry-kubernetes";
const ETCD: &str = "http://127.0.0.1:2379";
const ETCD_PEERS: &str = "http://127.0.0.1:2380";
const PORT: u16 = 6443;
/// Addresses of Services. Nobody translates them (there is no kube-proxy), so that any range does which is nobody else's.
const SERVICES: &str = "10.96.0.0/16";
/// The first of them is the API server's own.
const OWN_SERVICE: &str = "10.96.0.1";
/// 3.4 s on two busy cores.
const READY_LIMIT: Duration = Duration::from_secs(120);
/// It tells nobody that it has become ready.
const READY_POLL: Duration = Duration::from_millis(20);
const LOG_LINES: usize = 12;

/// Programs of a control plane; they end with their node.
#[derive(Default)]
pub(super) struct Ends(Mutex<Vec<(&'static str, Box<dyn Program>)>>);

impl Ends {
    /// Comes back when one of them has ended, with its name and why.
    async fn first(&self) -> (&'static str, String) {
        let mut programs = self.0.lock().await;
        let each = programs.iter_mut().map(|(name, program)| {
            Box::pin(async move {
                let why = match program.wait().await {
                    Ok(code) => format!("it ended with {code}"),
                    Err(e) => e.to_string(),
                };
                (*name, why)
            })
        });
        select_all(each).await.0
    }
}

/// Where the API server is in the nodes' network.
pub(super) fn address(node: &SharedNode) -> SocketAddr {
    (node.address(), PORT).into()
}

/// Its address for others in that network.
pub(super) fn url(node: &SharedNode) -> String {
    format!("https://{}", address(node))
}

/// Starts etcd and the API server.
pub(super) async fn serve(node: &SharedNode, authority: &Authority, ends: &mut Ends) -> Result<(), Failure> {
    let no = |e: rcgen::Error| failure("can't make the cluster's certificates", &e);
    let at = [node.address().to_string(), "127.0.0.1".into(), OWN_SERVICE.into(), "kubernetes.default.svc".into()];
    let server = authority.issue("kube-apiserver", None, &at).map_err(no)?;
    // As kubeadm has it. `system:kubelet-api-admin` would not do: it lacks `nodes/checkpoint` (Kubernetes 1.36).
    let of_kubelets = authority.issue("kube-apiserver-kubelet-client", Some(MASTERS), &[]).map_err(no)?;
    let (private, public) = pki::signing_key().map_err(no)?;
    let files = [
        ("ca.crt", authority.certificate()),
        ("apiserver.crt", &server.certificate),
        ("apiserver.key", &server.key),
        ("kubelets.crt", &of_kubelets.certificate),
        ("kubelets.key", &of_kubelets.key),
        ("accounts.key", &private),
        ("accounts.pub", &public),
    ];
    write(node, &files)?;
    start(node, "etcd", etcd(), ends).await?;
    start(node, "kube-apiserver", apiserver(node), ends).await
}

/// etcd without a disk that must hold anything: the cluster goes with its node.
fn etcd() -> Exec {
    Exec::new(format!("{PROGRAMS}/etcd"))
        .args(["--data-dir", "/data/etcd", "--unsafe-no-fsync", "--logger", "zap", "--log-level", "warn"])
        .args(["--listen-client-urls", ETCD, "--advertise-client-urls", ETCD])
        .args(["--listen-peer-urls", ETCD_PEERS, "--initial-advertise-peer-urls", ETCD_PEERS])
        .args(["--initial-cluster", &format!("default={ETCD_PEERS}")])
}

fn apiserver(node: &SharedNode) -> Exec {
    let file = |flag: &str, name: &str| format!("--{flag}={HOME}/{name}");
    Exec::new(format!("{PROGRAMS}/kube-apiserver"))
        .arg(format!("--etcd-servers={ETCD}"))
        .arg(format!("--advertise-address={}", node.address()))
        .arg(format!("--secure-port={PORT}"))
        .arg(format!("--service-cluster-ip-range={SERVICES}"))
        .args(["--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction"])
        .args(["--anonymous-auth=false", "--allow-privileged=true", "--profiling=false"])
        .arg("--kubelet-preferred-address-types=InternalIP")
        .arg("--service-account-issuer=https://kubernetes.default.svc")
        .args([
            file("client-ca-file", "ca.crt"),
            file("tls-cert-file", "apiserver.crt"),
            file("tls-private-key-file", "apiserver.key"),
            file("kubelet-certificate-authority", "ca.crt"),
            file("kubelet-client-certificate", "kubelets.crt"),
            file("kubelet-client-key", "kubelets.key"),
            file("service-account-key-file", "accounts.pub"),
            file("service-account-signing-key-file", "accounts.key"),
        ])
}

/// Waits until the API server serves, roles and all.
pub(super) async fn ready(node: &SharedNode, admin: &kube::Client, ends: &Ends) -> Result<(), Failure> {
    let ready = async {
        loop {
            let request = http::Request::get("/readyz").body(Vec::new()).expect("it is a request");
            if admin.request_text(request).await.is_ok() {
                return;
            }
            tokio::time::sleep(READY_POLL).await;
        }
    };
    let (name, why) = tokio::select! {
        () = ready => return Ok(()),
        ended = ends.first() => ended,
        () = tokio::time::sleep(READY_LIMIT) => ("kube-apiserver", format!("not ready within {READY_LIMIT:?}")),
    };
    let message = format!("the control plane on node {} does not come up: {name}: {why}", node.name());
    Err(Failure { log: tail(node, name), ..Failure::surroundings(message) })
}

/// Starts the controller manager and the scheduler. The roles that they have are made by the API server before it is ready:
/// the controller manager ends when it starts earlier (1.36.3).
pub(super) async fn manage(node: &SharedNode, authority: &Authority, ends: &mut Ends) -> Result<(), Failure> {
    for name in ["kube-controller-manager", "kube-scheduler"] {
        let identity = authority.issue(&format!("system:{name}"), None, &[]);
        let identity = identity.map_err(|e| failure("can't make the cluster's certificates", &e))?;
        let config = format!("{name}.kubeconfig");
        write(node, &[(&config, &kubeconfig::text(&url(node), authority.certificate(), &identity))])?;
        let exec = Exec::new(format!("{PROGRAMS}/{name}"))
            .args(
                ["kubeconfig", "authentication-kubeconfig", "authorization-kubeconfig"]
                    .map(|flag| format!("--{flag}={HOME}/{config}")),
            )
            // The only one of its kind: nobody has to be waited for.
            .args(["--leader-elect=false", "--bind-address=127.0.0.1"]);
        let exec = match name {
            "kube-controller-manager" => exec
                .arg("--use-service-account-credentials")
                .arg(format!("--service-account-private-key-file={HOME}/accounts.key"))
                .arg(format!("--root-ca-file={HOME}/ca.crt")),
            _ => exec,
        };
        start(node, name, exec, ends).await?;
    }
    Ok(())
}

fn log(name: &str) -> String {
    format!("{HOME}/{name}.log")
}

async fn start(node: &SharedNode, name: &'static str, exec: Exec, ends: &mut Ends) -> Result<(), Failure> {
    let program = node.spawn(exec, Path::new(&log(name))).await;
    let program = program.map_err(|e| failure(&format!("can't start {name} on node {}", node.name()), &e))?;
    ends.0.get_mut().push((name, program));
    Ok(())
}

fn write(node: &SharedNode, files: &[(&str, &str)]) -> Result<(), Failure> {
    let home = node.host_path(Path::new(HOME));
    std::fs::create_dir_all(&home).map_err(|e| failure(&format!("can't make {HOME}"), &e))?;
    for (name, text) in files {
        super::write_secret(&home.join(name), text).map_err(|e| failure(&format!("can't write {HOME}/{name}"), &e))?;
    }
    Ok(())
}

fn tail(node: &SharedNode, name: &str) -> Vec<String> {
    let said = std::fs::read_to_string(node.host_path(Path::new(&log(name)))).unwrap_or_default();
    let lines: Vec<String> = said.lines().map(str::to_owned).collect();
    lines[lines.len().saturating_sub(LOG_LINES)..].to_vec()
}
