//! Where CRI-O has its files in a node, and the files that it, its storage and CRIU read there. Pure: text from settings.

use crate::engine::criu_options::{self, NetworkLock};
use crate::image::REGISTRY;
use crate::record::{CriuChoices, EngineKind};

const KIND: EngineKind = EngineKind::CriCrio;

/// CRI-O's root: images and containers. On `/data`, as containerd's: overlay cannot lie on the node's own overlay root.
pub(super) const ROOT: &str = "/data/crio";
/// Its `TMPDIR`: the descriptions in an archive that is to be restored are unpacked here first, as `checkpointNNN`.
pub(super) const TMP: &str = "/data/crio-tmp";
/// Archives.
pub(super) const CHECKPOINTS: &str = "/data/checkpoints-cri-crio";

/// A file or folder of the engine's own in a node.
pub(super) fn home(file: &str) -> String {
    format!("/run/podferry-{KIND}/{file}")
}

pub(super) fn socket() -> String {
    home("crio.sock")
}

/// Ids of containers that are to stay frozen, a file each; see [`RUNTIME`].
pub(super) fn held() -> String {
    home("held")
}

/// The file with CRIU's options for a container.
pub(super) fn criu_file(choices: &CriuChoices) -> String {
    home(&criu_options::file_name(choices))
}

/// Where CRIU logs, by [`criu`].
pub(super) fn criu_log() -> String {
    home("criu.log")
}

/// CRIU's options. `log-file` saves the log of a restore: CRI-O deletes it with the container.
pub(super) fn criu(choices: &CriuChoices, network_lock: Option<NetworkLock>) -> String {
    format!("log-file {}\n{}", criu_log(), criu_options::text(choices, network_lock))
}

/// Between CRI-O (and conmon) and runc. CRI-O 1.34 thaws each container after it took a checkpoint, whoever froze it: a
/// fenced source would go on, and what it acknowledged then would be lost. So of a container that is held frozen it is told
/// that it runs, and can neither pause nor resume it.
pub(super) const RUNTIME: &str = "#!/bin/sh\n\
    held=/run/podferry-cri-crio/held\n\
    for id; do :; done\n\
    for word; do\n\
    \x20 case $word in\n\
    \x20 pause | resume) [ -e \"$held/$id\" ] && exit 0; break ;;\n\
    \x20 state) [ -e \"$held/$id\" ] || break\n\
    \x20   said=$(runc \"$@\") || exit\n\
    \x20   echo \"$said\" | sed 's/\"status\": \"paused\"/\"status\": \"running\"/'\n\
    \x20   exit ;;\n\
    \x20 create | start | checkpoint | restore | exec | kill | delete | update) break ;;\n\
    \x20 esac\n\
    done\n\
    exec runc \"$@\"\n";

/// In the place of `pinns`, CRI-O's program that makes the namespaces of a pod and keeps them by bind mounts: the one of
/// the package is written in C, and `unshare` of util-linux does the same. So CRI-O is one Go program, built in one step.
pub(super) const PINNS: &str = "#!/bin/sh\nset -e\n\
    while [ $# -gt 0 ]; do\n\
    \x20 case $1 in\n\
    \x20 -d) dir=$2; shift 2 ;;\n\
    \x20 -f) name=$2; shift 2 ;;\n\
    \x20 --net | --ipc | --uts) kinds=\"$kinds ${1#--}\"; shift ;;\n\
    \x20 *) echo \"pinns: podferry's stand-in does not know $1\" >&2; exit 1 ;;\n\
    \x20 esac\n\
    done\n\
    for kind in $kinds; do\n\
    \x20 mkdir -p \"$dir/${kind}ns\"\n\
    \x20 : > \"$dir/${kind}ns/$name\"\n\
    \x20 set -- \"$@\" \"--$kind=$dir/${kind}ns/$name\"\n\
    done\n\
    exec unshare \"$@\" true\n";

/// CRI-O's configuration, all of it: its defaults need what a node has not.
///
/// - `drop_infra_ctr`: a pod has no container of its own beside those that are asked for. That one would be given an
///   `oom_score_adj` below zero, which takes `CAP_SYS_RESOURCE`.
/// - `monitor_cgroup`: conmon is in the pod's control group, beside its container's. So it is anyway where there is no
///   systemd, whatever is configured.
/// - `allowed_annotations`: what is not named there is left out of a container's annotations, and nobody is told.
/// - No `signature_policy`: a CRI-O that is given one by its configuration restores nothing (CRI-O 1.34.0: `user specified
///   image not specified, cannot verify image signature`). It takes the one of the node, [`POLICY`].
/// - `internal_wipe`: after a restart of its node CRI-O forgets the containers that ended with it; that is its default.
pub(super) fn crio(pause: &str, pinns: &str) -> String {
    format!(
        "[crio]\nroot = \"{ROOT}\"\nrunroot = \"{storage}\"\nstorage_driver = \"overlay\"\nlog_dir = \"{logs}\"\n\
         version_file = \"{version}\"\nversion_file_persist = \"{ROOT}/version\"\n\
         clean_shutdown_file = \"{ROOT}/clean.shutdown\"\ninternal_wipe = true\n\n\
         [crio.api]\nlisten = \"{socket}\"\nstream_address = \"127.0.0.1\"\nstream_port = \"0\"\n\n\
         [crio.runtime]\ndefault_runtime = \"runc\"\ncgroup_manager = \"cgroupfs\"\ndrop_infra_ctr = true\n\
         enable_criu_support = true\nselinux = false\napparmor_profile = \"unconfined\"\nhooks_dir = []\n\
         cdi_spec_dirs = []\ndefault_mounts_file = \"\"\ncontainer_exits_dir = \"{exits}\"\n\
         container_attach_socket_dir = \"{attach}\"\nnamespaces_dir = \"{namespaces}\"\npinns_path = \"{pinns}\"\n\n\
         [crio.runtime.runtimes.runc]\nruntime_path = \"{runtime}\"\nruntime_root = \"{state}\"\n\
         monitor_path = \"/usr/bin/conmon\"\nmonitor_cgroup = \"pod\"\n\
         allowed_annotations = [\"{annotation}\"]\n\n\
         [crio.image]\npause_image = \"{pause}\"\ninsecure_registries = [\"{REGISTRY}\"]\n\
         signature_policy_dir = \"{policies}\"\n\n\
         [crio.network]\nnetwork_dir = \"{cni}\"\nplugin_dirs = [\"/usr/lib/cni\", \"/opt/cni/bin\"]\n\n\
         [crio.nri]\nenable_nri = false\n",
        storage = home("storage"),
        logs = home("pods"),
        version = home("version"),
        socket = socket(),
        exits = home("exits"),
        attach = home("attach"),
        namespaces = home("namespaces"),
        annotation = criu_options::ANNOTATION,
        runtime = home("runtime"),
        state = home("runc"),
        policies = home("policies"),
        cni = home("cni"),
    )
}

/// Whose images are taken is read here.
pub(super) const POLICY: &str = "/etc/containers/policy.json";

/// Everybody's: nobody signs those of podferry. Debian's says the same.
pub(super) const EVERYBODY: &str = "{ \"default\": [{ \"type\": \"insecureAcceptAnything\" }] }\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration() {
        insta::assert_snapshot!(crio("localhost:5000/podferry/pause:1", "/usr/bin/pinns"));
    }

    #[test]
    fn the_runtime_asks_for_what_is_held_where_that_is_written() {
        assert!(RUNTIME.contains(&format!("held={}\n", held())));
    }

    #[test]
    fn criu_logs_where_its_log_is_read() {
        assert!(criu(&CriuChoices::default(), None).starts_with("log-file /run/podferry-cri-crio/criu.log\n"));
    }
}
