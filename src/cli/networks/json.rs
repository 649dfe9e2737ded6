//! The list for machines. Fields are added and never taken away; docs/checks.md describes them.

use super::view::View;

pub(super) fn render(views: &[View]) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(views)?)
}
