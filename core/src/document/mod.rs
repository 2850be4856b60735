//! Documents: what an attachment is by its bytes, and the formats that are read, written or cleaned.
//!
//! Nothing here decodes an image or runs anything of a document, and every reader takes memory and time in proportion to the
//! bytes that it is given. `spec/documents.md` says what is seen and what is not.

mod audio;
pub mod cda;
mod image;
mod kind;
mod pdf;

pub use audio::Recording;
pub use image::{Dimensions, ImageFormat, StripError, strip_location};
pub use kind::{DocumentKind, DocumentMismatch};
pub use pdf::{PdfError, PdfSummary, PdfVersion};
