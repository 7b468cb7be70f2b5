//! Which libraries a program of a node needs.

use super::ImageError;
use crate::process::Exec;
use std::path::Path;
use std::time::Duration;

/// The dynamic loader's path, fixed by the ABI of each architecture.
pub(crate) fn loader() -> &'static str {
    match std::env::consts::ARCH {
        "aarch64" => "/lib/ld-linux-aarch64.so.1",
        _ => "/lib64/ld-linux-x86-64.so.2",
    }
}

/// The libraries of a program and the loader itself, as paths in the root. Asked of the root's own loader, chrooted
/// there: it alone knows its search path and which of several builds of a library it takes on this machine.
pub(crate) async fn libraries(root: &Path, program: &str) -> Result<Vec<String>, ImageError> {
    let exec = Exec::new("chroot").arg(root).args([loader(), "--list", program]).timeout(Duration::from_secs(20));
    let failed = |source| ImageError::Libraries { program: program.to_owned(), source };
    let out = exec.run().await.map_err(failed)?;
    let mut found = parse(&out.text()).map_err(|lacks| ImageError::NotInNode {
        file: format!("{lacks} (which {program} needs)"),
        repository: "of a workload".to_owned(),
    })?;
    found.push(loader().to_owned());
    found.sort();
    found.dedup();
    Ok(found)
}

/// Takes the loader's list apart; the error is a library that it did not find.
fn parse(list: &str) -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    for line in list.lines().map(str::trim) {
        match line.split_once(" => ") {
            Some((name, "not found")) => return Err(name.to_owned()),
            Some((_, path)) => found.extend(path.split_whitespace().next().map(str::to_owned)),
            // The loader itself; and the vdso, which is no file.
            None => found.extend(line.split_whitespace().next().filter(|p| p.starts_with('/')).map(str::to_owned)),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn the_loaders_list_is_read() {
        let list =
            "\tlinux-vdso.so.1 (0x00007f)\n\tlibm.so.6 => /usr/lib/x/libm.so.6 (0x00007f)\n\t/lib64/ld.so.2 (0x0)\n";
        assert_eq!(parse(list).unwrap(), ["/usr/lib/x/libm.so.6", "/lib64/ld.so.2"]);
    }

    #[test]
    fn a_library_that_is_not_there_is_named() {
        assert_eq!(parse("\tlibx.so.1 => not found\n").unwrap_err(), "libx.so.1");
    }
}
