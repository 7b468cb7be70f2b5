//! The image of the agent: this very program, with the libraries that it needs, so that it runs on any node.

use super::layout::program_layout;
use super::store::Hasher;
use super::{ImageError, Layer, libraries, loader};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Where it lies in its image.
const PROGRAM: &str = "/podferry";

/// What its image is called: by its content, so that a node with another's is not taken for one with this.
///
/// # Errors
/// It can't be read.
pub fn agent_reference(program: &Path) -> Result<String, ImageError> {
    let mut hasher = Hasher::default();
    let mut hashed = || {
        let (mut file, mut bytes) = (File::open(program)?, vec![0; 1 << 20]);
        loop {
            match file.read(&mut bytes)? {
                0 => return io::Result::Ok(()),
                n => hasher.update(&bytes[..n]),
            }
        }
    };
    hashed().map_err(ImageError::io("read", program))?;
    let short: String = hasher.digest().trim_start_matches("sha256:").chars().take(12).collect();
    Ok(format!("localhost/podferry/agent:{short}"))
}

/// Writes the image as an OCI layout in a tar file, and gives its name. Needs root, since the loader is asked in a root.
///
/// # Errors
/// A library is not to be found, or the file can't be written.
pub async fn agent_layout(program: &Path, into: &Path) -> Result<String, ImageError> {
    let reference = agent_reference(program)?;
    let root = Path::new("/");
    let mut layer = Layer::default();
    for library in libraries(root, &program.display().to_string()).await? {
        layer.take_from(root, &library)?;
    }
    layer.take_from(root, loader())?;
    layer.host_file(PROGRAM, program, 0o755);
    for folder in ["/dev", "/proc", "/sys", "/tmp"] {
        layer.dir(folder, 0o755);
    }
    let packed = into.with_extension("layer");
    let written = layer.write_file(&packed).and_then(|()| program_layout(&packed, into, &reference, &[PROGRAM]));
    // It is in the image, or is nothing.
    let _ = std::fs::remove_file(&packed);
    written.map(|()| reference)
}
