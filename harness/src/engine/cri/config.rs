//! The files that containerd, CNI and CRIU read in a node. Pure: text from settings.

use crate::engine::containerd::Places;
use crate::engine::containerd::version::Support;
use crate::engine::criu_options;

/// The pods' network, in [`Places::home`].
pub(super) const CNI: &str = "cni/10-podferry.conflist";

/// containerd's configuration.
pub(super) fn containerd(places: &Places, support: &Support, pause: &str, runtime: &str) -> String {
    let Places { root, state, socket, .. } = places;
    let head = format!(
        "version = {}\nroot = \"{root}\"\nstate = \"{state}\"\n\n[grpc]\naddress = \"{socket}\"\n",
        support.config_version()
    );
    let certs = places.in_home("certs.d");
    let cni = places.in_home("cni");
    // Every option below is named in the configuration of the version that it is for; keys that a version does not
    // know are only warned of, so the two switches of 2.2.7 and 2.3.4 can always be there.
    let body = if support.config_version() == 2 {
        let cri = "io.containerd.grpc.v1.cri";
        format!(
            "[plugins.\"{cri}\"]\nsandbox_image = \"{pause}\"\nrestrict_oom_score_adj = true\n\n\
             [plugins.\"{cri}\".registry]\nconfig_path = \"{certs}\"\n\n\
             [plugins.\"{cri}\".cni]\nbin_dir = \"/usr/lib/cni\"\nconf_dir = \"{cni}\"\n\n{}",
            runtime_table(cri, runtime)
        )
    } else {
        let (cri, images) = ("io.containerd.cri.v1.runtime", "io.containerd.cri.v1.images");
        // A list from 2.1 on; 2.0 knows only the one.
        let bin = if support.number < (2, 1, 0) {
            "bin_dir = \"/usr/lib/cni\""
        } else {
            "bin_dirs = [\"/usr/lib/cni\", \"/opt/cni/bin\"]"
        };
        format!(
            "[plugins.\"{images}\".pinned_images]\nsandbox = \"{pause}\"\n\n\
             [plugins.\"{images}\".registry]\nconfig_path = \"{certs}\"\n\n\
             [plugins.\"{cri}\"]\nrestrict_oom_score_adj = true\n\
             enable_experimental_restore_via_create = true\nenable_criu = true\n\n\
             [plugins.\"{cri}\".cni]\n{bin}\nconf_dir = \"{cni}\"\n\n{}",
            runtime_table(cri, runtime)
        )
    };
    format!("{head}\n{body}")
}

/// The runtime. The annotation that names CRIU's options is let through to runc: a container's own, or its pod's, which is
/// all that a kubelet hands on.
fn runtime_table(cri: &str, runtime: &str) -> String {
    let table = format!("plugins.\"{cri}\".containerd.runtimes.runc");
    let annotation = criu_options::ANNOTATION;
    format!(
        "[{table}]\nruntime_type = \"io.containerd.runc.v2\"\ncontainer_annotations = [\"{annotation}\"]\n\
         pod_annotations = [\"{annotation}\"]\n\n\
         [{table}.options]\nBinaryName = \"{runtime}\"\nSystemdCgroup = false\n"
    )
}

/// Tells containerd's CRI plugin that the registry speaks plain HTTP; without this it tries TLS, also on localhost.
pub(super) fn hosts(registry: &str) -> String {
    format!("server = \"http://{registry}\"\n\n[host.\"http://{registry}\"]\ncapabilities = [\"pull\", \"resolve\"]\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::containerd::version::support;
    use crate::record::EngineKind;

    fn cri() -> Places {
        Places::of(EngineKind::Cri)
    }

    #[test]
    fn containerd_1_7() {
        insta::assert_snapshot!(containerd(&cri(), &support("1.7.24").unwrap(), "localhost:5000/pause:1", "runc"));
    }

    #[test]
    fn containerd_2_1() {
        insta::assert_snapshot!(containerd(&cri(), &support("2.1.9").unwrap(), "localhost:5000/pause:1", "/opt/runc"));
    }

    #[test]
    fn containerd_2_0_knows_one_folder_of_cni_plugins() {
        let text = containerd(&cri(), &support("2.0.0").unwrap(), "p", "runc");
        assert!(text.contains("\nbin_dir = ") && !text.contains("bin_dirs"), "{text}");
    }
}
