//! Goes through the steps in order and tells of what cannot be.

use super::catalogue::WorkloadKind;
use super::document::Document;
use super::read::Reader;

pub(super) fn check(_document: &Document, _workloads: &[WorkloadKind], _r: &mut Reader) {}
