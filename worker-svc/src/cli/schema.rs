//! `schema`: the JSON Schema of a file format, for editors.

use definition::editor::{config_schema, index_schema};
use runtime::cli::{Exit, print};

use super::FileFormat;

pub(super) fn schema(of: FileFormat) -> Exit {
    let schema = match of {
        FileFormat::Config => config_schema(),
        FileFormat::Index => index_schema(),
    };
    print(&format!("{schema:#}"));
    Exit::Done
}
