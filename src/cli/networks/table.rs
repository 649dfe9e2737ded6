//! The list for people: a table whose cells are wrapped, so that it fits and nothing is cut off.

use super::view::{CapacityView, UserView, View};
use crate::cli::words::{WIDTH, plain, wrap};

const COLUMNS: [&str; 6] = ["NETWORK", "PLUGIN", "ON", "ADDRESSES", "ROOM", "USED BY"];
/// What stands between two columns.
const GAP: &str = "  ";

/// A cell is a list of lines, which may be wrapped.
type Row = [Vec<String>; COLUMNS.len()];

pub(super) fn render(views: &[View]) -> String {
    let rows: Vec<Row> = views.iter().map(row).collect();
    let widths = widths(&rows);
    let mut text = line(&COLUMNS.map(str::to_owned), &widths);
    for row in &rows {
        let cells: Vec<Vec<String>> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| cell.iter().flat_map(|line| wrap(line, *width)).collect())
            .collect();
        for index in 0..cells.iter().map(Vec::len).max().unwrap_or_default() {
            let of_line = cells.iter().map(|cell| cell.get(index).cloned().unwrap_or_default());
            text.push_str(&line(&of_line.collect::<Vec<_>>(), &widths));
        }
    }
    text
}

fn row(view: &View) -> Row {
    let View {
        namespace,
        name,
        state,
        error,
        plugins,
        mode,
        master,
        bridge,
        vlan,
        resource,
        ipam,
        networks,
        networks_unknown,
        capacity,
        nodes,
        used_by,
    } = view;
    let mut plugin: Vec<String> = match *state {
        "usable" if plugins.is_empty() => vec!["(on the node)".to_owned()],
        "usable" => vec![plugins.join(" + ")],
        // In capitals, as nothing else in the table is: these are what to look at.
        marked => vec![marked.to_uppercase()],
    };
    plugin.extend(mode.iter().map(|mode| format!("mode {mode}")));
    let mut on: Vec<String> = master.iter().cloned().collect();
    on.extend(bridge.iter().map(|bridge| format!("bridge {bridge}")));
    on.extend(vlan.iter().filter(|vlan| **vlan > 0).map(|vlan| format!("vlan {vlan}")));
    on.extend(resource.iter().cloned());
    let mut addresses: Vec<String> = ipam.iter().cloned().collect();
    addresses.extend(networks.iter().cloned());
    addresses.extend(networks_unknown.iter().map(|why| format!("({why})")));
    addresses.extend(error.iter().cloned());
    let room = capacity.iter().map(|CapacityView { pods, per }| match pods {
        None => "no limit".to_owned(),
        Some(pods) if *per == "node" => format!("{pods} a node"),
        Some(pods) => pods.to_string(),
    });
    let nodes = nodes.iter().map(|nodes| if *nodes == 1 { "1 node".to_owned() } else { format!("{nodes} nodes") });
    let used_by = if used_by.is_empty() { vec!["nobody".to_owned()] } else { used_by.iter().flat_map(user).collect() };
    let cells = [vec![format!("{namespace}/{name}")], plugin, on, addresses, room.chain(nodes).collect(), used_by];
    cells.map(|cell| cell.iter().map(|line| plain(line).into_owned()).collect())
}

fn user(user: &UserView) -> [String; 2] {
    let UserView { kind, group: _, namespace, name, key, on_some_nodes, roles } = user;
    let key = key.as_deref().unwrap_or("the pod network");
    let nodes = if *on_some_nodes { " on some nodes" } else { "" };
    let roles = if roles.is_empty() { String::new() } else { format!(": {}", roles.join(", ")) };
    [format!("{kind} {namespace}/{name}"), format!("{key}{nodes}{roles}")]
}

/// As wide as the longest line of each column. Where that is too much, the widest columns are made narrower until all fits: first
/// as long as no word is cut, then any.
fn widths(rows: &[Row]) -> Vec<usize> {
    let longest = |of: fn(&str) -> usize| {
        let of_column = |column: usize| {
            let lines = rows.iter().flat_map(move |row| &row[column]).map(|line| of(line));
            lines.chain([COLUMNS[column].len()]).max().unwrap_or_default()
        };
        (0..COLUMNS.len()).map(of_column).collect::<Vec<_>>()
    };
    let mut widths = longest(|line| line.chars().count());
    let words = longest(|line| line.split_whitespace().map(|word| word.chars().count()).max().unwrap_or_default());
    let room = WIDTH - GAP.len() * (COLUMNS.len() - 1);
    while widths.iter().sum::<usize>() > room {
        let loose =
            widths.iter_mut().zip(&words).filter(|(width, word)| **width > **word).map(|(width, _)| width).max();
        let Some(widest) = loose else { break };
        *widest -= 1;
    }
    while widths.iter().sum::<usize>() > room {
        let Some(widest) = widths.iter_mut().max() else { break };
        *widest -= 1;
    }
    widths
}

fn line(cells: &[String], widths: &[usize]) -> String {
    let cells: Vec<String> = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
    format!("{}\n", cells.join(GAP).trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(name: &str, used_by: Vec<UserView>) -> View {
        View { namespace: "ns".to_owned(), name: name.to_owned(), state: "missing", used_by, ..View::default() }
    }

    #[test]
    fn every_line_fits_and_nothing_is_lost() {
        let roles = (0..40).map(|number| format!("role-{number}")).collect();
        let used_by = UserView {
            kind: "CephCluster".to_owned(),
            group: "ceph.rook.io".to_owned(),
            namespace: "n".repeat(63),
            name: "c".repeat(63),
            key: Some("public".to_owned()),
            on_some_nodes: true,
            roles,
        };
        let text = render(&[view(&"x".repeat(253), vec![used_by]), view("\u{1b}[2Jä", Vec::new())]);
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        assert_eq!(text.matches('x').count(), 253, "{text}");
        assert!(text.contains("role-39") && text.contains("MISSING") && text.contains("nobody"), "{text}");
        assert!(!text.contains('\u{1b}') && text.contains("ns/\\u{1b}[2Jä"), "{text}");
    }
}
