//! Getting a component, from wherever it is.

use super::cache::Cache;
use super::error::ComponentError;
use super::manifest::{Made, Manifest};
use super::program::{Built, cached, compare};
use super::wanted::Wanted;
use super::{Progress, module, release};

/// A component out of the cache, or got now: built from its sources, which needs Go, the network, and minutes; or as a release.
/// Two runs that need one program get it once.
///
/// # Errors
/// No such component, version or release; no Go; what it is made of can't be fetched, patched or compiled; a release is not to
/// be had, or is another file.
pub async fn build(wanted: &Wanted, cache: &Cache, progress: &dyn Progress) -> Result<Built, ComponentError> {
    match Manifest::shipped().made(wanted)? {
        Made::Module(source) => module::build(&source, wanted.patches.as_deref(), cache, progress).await,
        Made::Release(it) => release::get(&wanted.name, &it, cache, progress).await,
    }
}

/// A component, if the cache has it without patches.
///
/// # Errors
/// No such component, version or release.
pub fn built(wanted: &Wanted, cache: &Cache) -> Result<Option<Built>, ComponentError> {
    Ok(match Manifest::shipped().made(wanted)? {
        Made::Module(source) => module::built(&source, cache),
        Made::Release(it) => cached(cache, &wanted.name, &release::key(&wanted.name, &it)),
    })
}

/// Fetches what a component is made of, so that it is to be had without a network: the sources and all that they are made of,
/// or the release itself, which is kept in the cache.
///
/// # Errors
/// As [`build`].
pub async fn fetch(wanted: &Wanted, cache: &Cache, progress: &dyn Progress) -> Result<(), ComponentError> {
    match Manifest::shipped().made(wanted)? {
        Made::Module(source) => module::fetch(&source).await,
        Made::Release(it) => release::get(&wanted.name, &it, cache, progress).await.map(drop),
    }
}

/// Compares a program of the cache with what it was when it came there; `None`: it is not there.
///
/// # Errors
/// As [`built`], or its file can't be read.
pub fn verify(wanted: &Wanted, cache: &Cache) -> Result<Option<Result<Built, String>>, ComponentError> {
    built(wanted, cache)?.map(compare).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::component::program::Birth;
    use crate::record::ComponentRecord;
    use std::fs;
    use std::time::Instant;

    #[test]
    fn a_program_that_was_changed_is_found_out() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::at(dir.path());
        let hex = "0".repeat(64);
        let wanted = Wanted::read(&format!("kubelet=release@http://a#sha256={hex}")).unwrap();
        assert_eq!(verify(&wanted, &cache).unwrap(), None);
        let Made::Release(it) = Manifest::shipped().made(&wanted).unwrap() else { panic!("{wanted:?}") };
        let place = cache.program(&release::key("kubelet", &it));
        fs::create_dir_all(&place).unwrap();
        fs::write(place.join("kubelet"), "abc").unwrap();
        let digest = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad".to_owned();
        let record = ComponentRecord { name: "kubelet".into(), version: "1".into(), source: "module".into(), digest };
        let birth = Birth::now(&record, Instant::now());
        fs::write(place.join("component.json"), serde_json::to_vec(&birth).unwrap()).unwrap();
        assert!(verify(&wanted, &cache).unwrap().unwrap().is_ok());
        fs::write(place.join("kubelet"), "abd").unwrap();
        let why = verify(&wanted, &cache).unwrap().unwrap().unwrap_err();
        assert!(why.contains("kubelet was sha256:ba78") && why.contains("and is sha256:"), "{why}");
        assert_eq!(verify(&Wanted::named("kubelet"), &cache).unwrap(), None, "what is built is another program");
    }
}
