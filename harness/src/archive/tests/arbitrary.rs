//! What nobody wrote: bytes at random, cuts anywhere.

use super::*;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_are_refused_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..4096)) {
        let place = Place::new();
        fs::write(place.path("cp"), &bytes).unwrap();
        prop_assert!(verify(&place.path("cp"), Form::CriArchive).is_err());
        let _ = (criu::pagemap(&bytes), criu::pstree(&bytes), criu::dump_stats(&bytes));
    }

    #[test]
    fn any_cut_is_refused(at in 0.0..1.0_f64) {
        let place = Place::new();
        let bytes = tar_of(&files(Form::CriArchive));
        let keep = (bytes.len() as f64 * at) as usize;
        fs::write(place.path("cp"), &bytes[..keep]).unwrap();
        prop_assert!(verify(&place.path("cp"), Form::CriArchive).is_err(), "cut at {keep} of {}", bytes.len());
    }

    #[test]
    fn any_cut_of_a_required_image_is_refused(which in 0..8_usize, at in 0.0..1.0_f64) {
        let place = Place::new();
        let mut all = files(Form::ImageFolder);
        let name = all.keys().filter(|n| n.starts_with("checkpoint/")).nth(which).unwrap().clone();
        let bytes = all.get_mut(&name).unwrap();
        let keep = (bytes.len() as f64 * at) as usize;
        bytes.truncate(keep);
        let path = place.write("cp", Form::ImageFolder, &all);
        // A pagemap cut between two entries is whole by its framing; its pages image tells then, as the present pages
        // come last here.
        prop_assert!(verify(&path, Form::ImageFolder).is_err(), "{name} cut at {keep}");
    }

    #[test]
    fn a_changed_byte_never_panics(at in any::<prop::sample::Index>(), value in any::<u8>()) {
        let place = Place::new();
        let mut bytes = tar_of(&files(Form::CriArchive));
        let at = at.index(bytes.len());
        bytes[at] = value;
        fs::write(place.path("cp"), &bytes).unwrap();
        let _ = verify(&place.path("cp"), Form::CriArchive);
        let _ = manifest(&place.path("cp"));
    }
}
