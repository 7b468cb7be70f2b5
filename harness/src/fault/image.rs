use super::Fault;
use crate::engine::Engine;
use crate::image::{Changes, Image};
use crate::record::Failure;
use crate::scenario::plan::ImageFault;
use async_trait::async_trait;
use std::sync::Arc;

/// What the registry of a node is to serve otherwise.
pub(crate) struct Shelf {
    /// What can be changed of what it serves.
    pub(crate) changes: Changes,
    /// The image that it is about.
    pub(crate) image: Arc<Image>,
    /// One that may stand in its place.
    pub(crate) other: Arc<Image>,
}

/// An image that a node cannot get, or under whose name it gets another. The node forgets the one that it has.
pub(super) struct BaseImage {
    engine: Arc<dyn Engine>,
    shelf: Shelf,
    how: ImageFault,
}

impl BaseImage {
    pub(super) fn new(engine: Arc<dyn Engine>, shelf: Shelf, how: ImageFault) -> Self {
        BaseImage { engine, shelf, how }
    }
}

#[async_trait]
impl Fault for BaseImage {
    async fn strike(&self) -> Result<(), Failure> {
        let Shelf { changes, image, other } = &self.shelf;
        let instead = (self.how == ImageFault::Other).then(|| other.digest.clone());
        changes.hide(&image.digest, &image.reference, instead);
        Ok(self.engine.forget_image(&image.reference).await?)
    }

    /// The node forgets what it got under that name meanwhile: the next container would be made from it.
    async fn mend(&self) -> Result<(), Failure> {
        self.shelf.changes.undo(&self.shelf.image.digest);
        Ok(self.engine.forget_image(&self.shelf.image.reference).await?)
    }
}
