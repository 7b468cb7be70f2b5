use super::*;

fn args(images: &[&str], components: &[&str]) -> StackArgs {
    let own = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    StackArgs { images: ImageArgs { names: own(images) }, components: own(components), ..StackArgs::default() }
}

#[test]
fn each_image_is_taken_with_each_version() {
    let several = args(&["sid", "trixie"], &["runc=/a/runc", "containerd=module@v2.0.14,module@v2.3.7"]);
    let variants = variants(&several);
    let names: Vec<&str> = variants.iter().map(|(name, _)| name.as_str()).collect();
    let sid = ["sid+containerd@v2.0.14", "sid+containerd@v2.3.7"];
    assert_eq!(names, [&sid[..], &["trixie+containerd@v2.0.14", "trixie+containerd@v2.3.7"][..]].concat());
    assert_eq!(variants[1].1.components, ["runc=/a/runc", "containerd=module@v2.3.7"]);
    assert_eq!(variants[3].1.images.names, ["trixie"]);
}

#[test]
fn one_stack_has_the_name_of_its_image() {
    let names = |args: &StackArgs| variants(args).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    assert_eq!(names(&args(&["sid"], &["containerd=module@v2.3.7"])), ["sid"]);
    assert_eq!(names(&args(&["sid"], &[])), ["sid"]);
}

#[test]
fn a_case_is_run_again_on_the_stack_that_it_was_on() {
    let several = args(&["sid", "trixie"], &["runc=/a/runc", "containerd=module@v2.1.9,module@v2.3.7+my/"]);
    let words = words(&several, " --param data=1Mi");
    assert_eq!(
        words[&Some("trixie+containerd@v2.3.7+my/".to_owned())],
        " --node-image trixie --component runc=/a/runc --component containerd=module@v2.3.7+my/ --param data=1Mi"
    );
    assert_eq!(words.len(), 4);
    let kind = StackArgs { provider: ProviderArg::Kind, ..args(&["sid"], &[]) };
    assert_eq!(super::words(&kind, "")[&None], " --provider kind");
}

#[test]
fn what_does_not_go_together_is_told() {
    let told = |done: Result<(), Refusal>| done.err().map(|refusal| refusal.failure.message);
    let kind = StackArgs { provider: ProviderArg::Kind, ..args(&["sid"], &[]) };
    assert_eq!(told(fits(&kind, &[])), None);
    assert_eq!(told(fits(&kind, &[EngineKind::Kubelet])), None);
    assert_eq!(told(fits(&kind, &[EngineKind::Runc])).unwrap(), "the engine runc is none of a kind cluster's");
    let mut local = args(&["sid"], &[]);
    assert_eq!(told(fits(&local, &[EngineKind::Runc])), None);
    local.kind.docker = Some("/run/docker.sock".into());
    assert_eq!(told(fits(&local, &[])).unwrap(), "--docker is said of a kind or minikube cluster, and there is none");
    let minikube = StackArgs { provider: ProviderArg::Minikube, ..args(&["sid"], &[]) };
    assert_eq!(told(fits(&minikube, &[EngineKind::Cri])).unwrap(), "the engine cri is none of a minikube cluster's");
    let mut other = minikube.clone();
    other.kind.image = Some("kindest/node:1".to_owned());
    assert_eq!(told(fits(&other, &[])).unwrap(), "--kind-image is said of a kind cluster, and there is none");
    for (keep_on_failure, reuse, option) in [(true, false, "--keep-on-failure"), (false, true, "--reuse")] {
        let mut outlives = kind.clone();
        (outlives.kind.keep_on_failure, outlives.kind.reuse) = (keep_on_failure, reuse);
        assert!(told(fits(&outlives, &[])).unwrap().starts_with(&format!("{option} can't be had: ")));
        outlives.kind.docker = Some("/run/docker.sock".into());
        assert_eq!(told(fits(&outlives, &[])), None);
        (outlives.kind.docker, outlives.provider) = (None, ProviderArg::Local);
        let message = format!("{option} is said of a kind cluster, and there is none");
        assert_eq!(told(fits(&outlives, &[])), Some(message));
    }
    assert_eq!(told(super::local(&kind)).unwrap(), "--provider kind is for `podferry run` alone");
}

#[test]
fn a_containerd_that_restores_none_is_told() {
    let of = |version: &str| {
        let text = || "x".to_owned();
        let record =
            ComponentRecord { name: "containerd".into(), version: version.into(), source: text(), digest: text() };
        restores_none(&[record])
    };
    assert_eq!(of("2.1.9+unknown"), None);
    assert_eq!(of("2.4.0~rc1").unwrap(), "containerd 2.4 removed the restore through CreateContainer");
    assert!(of("1.7.24~ds1").unwrap().starts_with("containerd 1.x does not restore"));
    assert_eq!(restores_none(&[]), None);
}

#[test]
fn a_component_without_a_place_in_a_cluster_is_told() {
    let asked = |components: &[&str], maker: &str| {
        let components: Vec<String> = components.iter().map(|text| (*text).to_owned()).collect();
        gathered::has_place(&components, maker).err().map(|refusal| refusal.failure.message)
    };
    assert_eq!(asked(&["containerd=module@v2.3.7", "ptp=/p", "kind=module"], "kind"), None);
    assert_eq!(asked(&["crictl=module", "runc=release@v1.4.3"], "minikube"), None);
    for (name, maker) in [("crun", "kind"), ("podman", "minikube"), ("crictl", "kind")] {
        let told = asked(&["containerd=/c", &format!("{name}=/x")], maker).unwrap();
        assert_eq!(told, format!("component {name} has no place in a {maker} cluster"));
    }
}
