//! What the images of the catalogue are made of. An image does not depend on a workload's settings: those are arguments
//! of the container, so that one image serves all cases.

use super::nginx;
use crate::image::ImageSpec;

fn owned(list: &[&str]) -> Vec<String> {
    list.iter().map(|s| (*s).to_owned()).collect()
}

fn spec(name: &str) -> ImageSpec {
    // redis 8 does not start under a locale that the image lacks, and the image has none.
    let env = owned(&["PATH=/usr/sbin:/usr/bin", "LC_ALL=C"]);
    ImageSpec { repository: format!("podferry/{name}"), env, ..ImageSpec::default() }
}

/// busybox (Debian links it statically), under the names of the programs that a script wants.
fn busybox(spec: &mut ImageSpec, applets: &[&str]) {
    spec.files.push("/usr/bin/busybox".to_owned());
    spec.links.push(("bin".to_owned(), "usr/bin".to_owned()));
    spec.links.extend(applets.iter().map(|a| (format!("usr/bin/{a}"), "busybox".to_owned())));
}

/// The image that a workload runs in; `None` for one that is not made here.
pub(super) fn image(kind: &str) -> Option<ImageSpec> {
    let mut spec = spec(kind);
    match kind {
        "looper" => busybox(&mut spec, &["sh", "expr", "sleep", "echo"]),
        "counter" | "exchange" | "memory" => spec.binaries.push((format!("usr/bin/{kind}"), kind.to_owned())),
        "zoo" => {
            spec.binaries.push(("usr/bin/zoo".to_owned(), "zoo".to_owned()));
            // What its kinds change, delete, and make anew.
            spec.texts.push(("zoo/of-image".to_owned(), "of the image\n".to_owned(), 0o644));
            spec.texts.push(("zoo/of-image-too".to_owned(), "of the image\n".to_owned(), 0o644));
            spec.texts.push(("zoo/image-folder/of-image".to_owned(), "of the image\n".to_owned(), 0o644));
        }
        "redis" => spec.programs.push("/usr/bin/redis-server".to_owned()),
        "memcached" => spec.programs.push("/usr/bin/memcached".to_owned()),
        "nginx" => {
            busybox(&mut spec, &["sh", "sed"]);
            spec.programs.push("/usr/sbin/nginx".to_owned());
            spec.texts.push(("etc/nginx/podferry.conf".to_owned(), nginx::CONFIG.to_owned(), 0o644));
            spec.texts.push(("start".to_owned(), nginx::START.to_owned(), 0o755));
        }
        "python" => {
            spec.programs.push("/usr/bin/python3".to_owned());
            spec.files.push("/usr/lib/python3.*".to_owned());
            let script = include_str!("../../../workloads/python/counter.py");
            spec.texts.push(("counter.py".to_owned(), script.to_owned(), 0o644));
        }
        _ => return None,
    }
    // Containers are given their arguments. But CRI-O restores no image that names no program of its own: it forgets what
    // the request says (CRI-O 1.34.0: `no command specified`).
    spec.entrypoint = vec![program(kind)];
    Some(spec)
}

/// What runs in the image of a workload.
fn program(kind: &str) -> String {
    match kind {
        "looper" => "/usr/bin/sh".to_owned(),
        "redis" => "/usr/bin/redis-server".to_owned(),
        "nginx" => "/start".to_owned(),
        "python" => "/usr/bin/python3".to_owned(),
        other => format!("/usr/bin/{other}"),
    }
}

/// The image of the sandbox's own process: it does nothing for 68 years.
pub fn pause() -> ImageSpec {
    let mut spec = spec("pause");
    busybox(&mut spec, &["sleep"]);
    spec.entrypoint = owned(&["/usr/bin/sleep", "2147483647"]);
    spec
}
