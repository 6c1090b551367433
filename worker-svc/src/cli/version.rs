//! `version`: of the product, of librdkafka, of the rendering.

use runtime::cli::{Exit, ReportFormat, print};
use serde_json::json;

pub(super) fn version(format: ReportFormat) -> Exit {
    let product = env!("CARGO_PKG_VERSION");
    let librdkafka = runtime::kafka::Kafka::library_version();
    let rendering = definition::RENDERING;
    let text = match format {
        ReportFormat::Json => {
            json!({"product": product, "librdkafka": librdkafka, "rendering": rendering})
                .to_string()
        }
        ReportFormat::Human => {
            format!("flusso {product}\nlibrdkafka {librdkafka}\nrendering {rendering}")
        }
    };
    print(&text);
    Exit::Done
}
