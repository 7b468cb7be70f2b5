//! Images on a node: those of workloads, and those that archives become.

use super::{Own, cri, found};
use crate::engine::EngineError;
use crate::engine::containerd::classify::During;
use crate::engine::cri_api::Served;
use crate::image::{self, Image};
use crate::process::Exec;
use crate::record::Chain;
use std::path::Path;
use std::time::Duration;

/// CRI knows an image some milliseconds after containerd has it, and tells nobody (containerd#12980).
const LOOK: Duration = Duration::from_millis(2);
const KNOWN_LIMIT: Duration = Duration::from_secs(10);
/// The memory of a big container is written twice.
const IMPORT_LIMIT: Duration = Duration::from_secs(300);

impl Own {
    /// Has a workload's image on the node. On podferry's own it is pulled; on somebody else's it is loaded by archive, as with `kind
    /// load image-archive`. One that was taken away is pulled, as the kubelet would: whether that can be had is what is asked then.
    pub(super) async fn bring(&self, image: &Image) -> Result<(), EngineError> {
        let reference = &image.reference;
        // Held meanwhile: two slots of one image would do it twice.
        let taken = self.taken.lock().await;
        if self.started.is_some() || taken.contains(reference) {
            return self.runtime.pull(reference, During::Start).await;
        }
        if self.has(reference).await? {
            return Ok(());
        }
        let what = format!("load image {reference}");
        let failed = |e: std::io::Error| self.runtime.surroundings(&what, e);
        let inside = Path::new(found::IMAGES).join("workload.tar");
        let layout = self.runtime.host(&inside);
        std::fs::create_dir_all(self.runtime.host(found::IMAGES)).map_err(failed)?;
        let write = {
            let (image, layout) = (image.clone(), layout.clone());
            move || image::image_layout(&image, &layout)
        };
        let written = tokio::task::spawn_blocking(write).await.map_err(|e| self.runtime.surroundings(&what, e))?;
        let loaded = match written {
            Err(e) => Err(EngineError::new(e.class(), format!("can't {what}: {}", Chain(&e)))),
            // Without a digest under its name a checkpoint of it can't be restored (`invalid port ... after host`).
            Ok(()) => {
                let name = reference.rsplit_once(':').map_or(reference.as_str(), |(name, _)| name);
                self.import_layout(During::Start, &what, &inside, reference, &["--digests", "--base-name", name]).await
            }
        };
        let _ = std::fs::remove_file(&layout);
        loaded
    }

    /// Imports an archive with an image of this name, and waits until CRI knows it.
    pub(super) async fn import_layout(
        &self,
        during: During,
        what: &str,
        layout: &Path,
        reference: &str,
        how: &[&str],
    ) -> Result<(), EngineError> {
        let runtime = &self.runtime;
        let ctr = Exec::new("ctr").args(["--address", &runtime.places.socket, "--namespace", "k8s.io"]);
        let ctr = ctr.args(["images", "import", "--local"]).args(how).arg(layout).timeout(IMPORT_LIMIT);
        self.node().run(ctr).await.map_err(|e| {
            let said = tonic::Status::unknown(Chain(&e).to_string());
            runtime.error(during, what, &said, Vec::new())
        })?;
        let known = async {
            while !self.has(reference).await? {
                tokio::time::sleep(LOOK).await;
            }
            Ok(())
        };
        tokio::time::timeout(KNOWN_LIMIT, known).await.unwrap_or_else(|_| {
            let why = format!("CRI does not know {reference} {KNOWN_LIMIT:?} after its import");
            Err(runtime.surroundings(what, why))
        })
    }

    /// Whether CRI knows an image.
    async fn has(&self, reference: &str) -> Result<bool, EngineError> {
        let spec = cri::ImageSpec { image: reference.to_owned(), ..Default::default() };
        let request = cri::ImageStatusRequest { image: Some(spec), verbose: false };
        let mut images = self.runtime.client.images.clone();
        let call = images.image_status(request);
        let answer =
            self.runtime.call(During::Start, &format!("look for image {reference}"), KNOWN_LIMIT, call).await?;
        Ok(answer.image.is_some())
    }
}
