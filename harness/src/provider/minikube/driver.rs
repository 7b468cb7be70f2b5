//! Which of minikube's drivers can be used: told before minikube is started. Pure.

/// Those that make a virtual machine of minikube's own disk image.
const MACHINES: [&str; 10] =
    ["kvm2", "kvm", "qemu", "qemu2", "virtualbox", "vmware", "hyperv", "hyperkit", "parallels", "vfkit"];

/// Whether a driver of minikube's makes nodes that containers can be checkpointed on, and that podferry reaches.
///
/// # Errors
/// Why not.
pub fn usable(driver: &str) -> Result<(), String> {
    match driver {
        "docker" => Ok(()),
        "podman" => Err("its nodes are containers of podman's, and podferry reaches those of dockerd".to_owned()),
        "none" | "ssh" => Err("it makes no nodes: a cluster of two workers can't be had of it".to_owned()),
        // minikube 1.38's ISO, and issue 22736 of minikube's.
        other if MACHINES.contains(&other) => Err("the kernel of minikube's virtual machines is built without \
             CONFIG_CHECKPOINT_RESTORE, and there is no CRIU in them: nothing can be checkpointed"
            .to_owned()),
        _ => Err("minikube has no driver of this name that podferry knows".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::usable;

    #[test]
    fn containers_alone_can_be_checkpointed() {
        assert_eq!(usable("docker"), Ok(()));
        assert!(usable("kvm2").unwrap_err().contains("CONFIG_CHECKPOINT_RESTORE"));
        assert!(usable("qemu2").unwrap_err().contains("CONFIG_CHECKPOINT_RESTORE"));
        assert!(usable("podman").unwrap_err().contains("dockerd"));
        assert!(usable("none").is_err() && usable("dockerr").is_err());
    }
}
