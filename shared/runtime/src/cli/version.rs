//! `version` of both services: of the product, its commit, librdkafka, the rendering.

use serde_json::json;

use super::{ReportFormat, print};

/// The commit that this was built from: what `FLUSSO_COMMIT` held while compiling, in a release
/// build else what the repository said.
const COMMIT: Option<&str> = option_env!("FLUSSO_COMMIT");

/// Prints the versions. `product` is the version of the service's own package.
pub fn version(product: &str, format: ReportFormat) {
    let librdkafka = crate::kafka::Kafka::library_version();
    print(&report(product, COMMIT, &librdkafka, format));
}

fn report(product: &str, commit: Option<&str>, librdkafka: &str, format: ReportFormat) -> String {
    let commit = commit.filter(|commit| !commit.is_empty());
    let rendering = definition::RENDERING;
    match format {
        ReportFormat::Json => json!({
            "product": product,
            "commit": commit,
            "librdkafka": librdkafka,
            "rendering": rendering,
        })
        .to_string(),
        ReportFormat::Human => format!(
            "flusso {product}\ncommit {}\nlibrdkafka {librdkafka}\nrendering {rendering}",
            commit.unwrap_or("not recorded (development build)")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_versions_are_told_also_when_the_commit_is_not_known() {
        assert_eq!(
            report("1.2.3", Some("abc"), "2.12.0", ReportFormat::Human),
            "flusso 1.2.3\ncommit abc\nlibrdkafka 2.12.0\nrendering 1"
        );
        assert!(report("1", None, "2", ReportFormat::Human).contains("commit not recorded"));
        let json: serde_json::Value =
            serde_json::from_str(&report("1", None, "2", ReportFormat::Json)).unwrap();
        assert_eq!(
            json,
            json!({"product": "1", "commit": null, "librdkafka": "2", "rendering": 1})
        );
    }
}
