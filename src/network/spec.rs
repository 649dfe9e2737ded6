//! The network spec of a cluster: which provider attaches its networks, and what each network key selects.
//!
//! [`NetworkSpec::read`] applies Rook's own validation (`ValidateNetworkSpec`) and says everything that is wrong at once,
//! each with its field and its mend. A spec with a problem is never half used: the caller gets the problems instead.

use std::collections::BTreeMap;

use ipnet::IpNet;
use serde_json::{Map, Value};

use super::cidr::{self, Family};
use super::foreign::shorten;
use super::name::NetworkKey;
use super::provider::Provider;
use super::selection::{NetworkSelection, SelectorError};

pub use super::problem::{ProblemKind, SpecProblem};

/// What a cluster declares about its networks, and found to be valid.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkSpec {
    /// How networks are attached.
    pub provider: Provider,
    /// What each key selects, in the order of the keys. Only under [`Provider::MULTUS`]: under the others a selector may be
    /// anything (EdgeFS names interfaces of the host there), and is not read.
    pub selections: BTreeMap<NetworkKey, NetworkSelection>,
    /// The ranges of addresses that it declares for its keys (Rook's `addressRanges`), which go before anything that is read from
    /// attachment definitions.
    pub address_ranges: BTreeMap<NetworkKey, Vec<IpNet>>,
    /// The families that its daemons are to use.
    pub addressing: Addressing,
    /// What is not wrong here, and is read otherwise by the operator.
    pub doubts: Vec<SpecProblem>,
    /// Under which names all this stands, for messages.
    pub written: Written,
}

/// The fields in which a spec says what can be said in several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The map from network key to selector.
    pub selectors: &'static str,
    /// What decides about the provider: older forms of the host network have fields of their own.
    pub provider: Box<str>,
}

/// The families of addresses that daemons are to use (Rook's `ipFamily` and `dualStack`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Addressing {
    /// Nothing is said; Rook takes that for IPv4.
    #[default]
    NotSaid,
    /// This one.
    Only(Family),
    /// Both.
    DualStack,
    /// One that there is not; the API server refuses that.
    Unknown,
}

/// What the network field of a system's clusters looks like.
#[derive(Clone, Copy, Debug)]
pub struct SpecShape<'s> {
    /// Where it lies in the resource, for messages.
    pub path: &'s str,
    /// The network keys of the system.
    pub keys: &'s [NetworkKey],
    /// Fields that mean the host network by naming an interface of it, where no provider is given.
    pub host_fields: &'s [String],
}

/// The two names of the map from network key to selector: Rook's own, and that of Rook's network design.
const SELECTOR_FIELDS: [&str; 2] = ["selectors", "interfaces"];

impl Default for Written {
    fn default() -> Self {
        Self { selectors: SELECTOR_FIELDS[0], provider: "provider".into() }
    }
}

impl NetworkSpec {
    /// Reads the value of the network field of a cluster in `namespace`; absent and `null` declare nothing.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read(value: Option<&Value>, shape: SpecShape<'_>, namespace: &str) -> Result<Self, Vec<SpecProblem>> {
        let SpecShape { path, keys, host_fields } = shape;
        let nothing = Map::new();
        let fields = match value {
            None | Some(Value::Null) => &nothing,
            Some(Value::Object(fields)) => fields,
            Some(other) => {
                let fault = format!("it must be an object, not {}", type_name(other));
                return Err(vec![SpecProblem::new(path, fault, "write provider and selectors below it")]);
            }
        };
        let mut reader = Reader { fields, path, problems: Vec::new() };
        let provider = reader.provider(host_fields);
        let selectors = reader.selectors();
        let selections = match provider {
            Some(Provider::Attach(_)) => reader.selections(&selectors, keys, namespace),
            _ => BTreeMap::new(),
        };
        let address_ranges = reader.address_ranges(provider, &selectors);
        let mut doubts = reader.doubts(&selectors, &selections);
        if let Some(Provider::Attach(_)) = provider {
            doubts.extend(reader.unknown_keys(&selectors, keys));
        }
        let addressing = reader.addressing();
        let written = Written { selectors: selectors.field, provider: reader.provider_field(host_fields).into() };
        match provider {
            Some(provider) if reader.problems.is_empty() => {
                Ok(Self { provider, selections, address_ranges, addressing, doubts, written })
            }
            _ => Err(reader.problems),
        }
    }
}

/// Reads the fields of one spec and collects what is wrong with them.
struct Reader<'v> {
    fields: &'v Map<String, Value>,
    path: &'v str,
    problems: Vec<SpecProblem>,
}

/// The selectors as they are written, and under which of the two names.
struct Selectors<'v> {
    field: &'static str,
    texts: BTreeMap<&'v str, &'v str>,
}

impl<'v> Reader<'v> {
    /// The provider, the legacy `hostNetwork` taken into account (Rook's `IsHost` and `IsMultus`, and rule 1 of its
    /// validation), or nothing where it cannot be told.
    fn provider(&mut self, host_fields: &[String]) -> Option<Provider> {
        let legacy_host = match self.fields.get("hostNetwork") {
            None | Some(Value::Null) => Some(false),
            Some(Value::Bool(host)) => Some(*host),
            Some(other) => {
                self.problem(
                    "hostNetwork",
                    format!("it must be true or false, not {}", type_name(other)),
                    "mend the value",
                );
                None
            }
        };
        let provider = match self.fields.get("provider") {
            None | Some(Value::Null) => Some(Provider::None),
            Some(Value::String(provider)) => match provider.as_str() {
                "" => Some(Provider::None),
                "host" => Some(Provider::Host),
                "multus" => Some(Provider::MULTUS),
                other => {
                    let fault = format!("\"{}\" is no network provider", shorten(other));
                    self.problem("provider", fault, "write \"\", host or multus");
                    None
                }
            },
            Some(other) => {
                self.problem(
                    "provider",
                    format!("it must be a text, not {}", type_name(other)),
                    "write \"\", host or multus",
                );
                None
            }
        };
        // An older form in which the name of an interface of the host stood here, and no provider.
        let names_interface = host_fields.iter().any(|field| self.names_host_interface(field));
        let legacy_host = Some(legacy_host? || (provider? == Provider::None && names_interface));
        match (provider?, legacy_host?) {
            (Provider::None, true) => Some(Provider::Host),
            (provider, false) => Some(provider),
            (provider, true) => {
                let fault = format!("the legacy setting is not allowed beside provider \"{}\"", provider.name());
                self.problem("hostNetwork", fault, "remove hostNetwork; the provider decides");
                None
            }
        }
    }

    /// Whether the name of an interface of the host stands in a field.
    fn names_host_interface(&self, field: &str) -> bool {
        self.fields.get(field).and_then(Value::as_str).is_some_and(|name| !name.is_empty())
    }

    /// Which field decides about the provider.
    fn provider_field<'f>(&self, host_fields: &'f [String]) -> &'f str {
        let is_given = self.fields.get("provider").and_then(Value::as_str).is_some_and(|provider| !provider.is_empty());
        if is_given {
            return "provider";
        }
        if self.fields.get("hostNetwork").and_then(Value::as_bool) == Some(true) {
            return "hostNetwork";
        }
        host_fields.iter().find(|field| self.names_host_interface(field)).map_or("provider", String::as_str)
    }

    /// The selectors, under whichever of their two names they stand.
    fn selectors(&mut self) -> Selectors<'v> {
        let [rook, design] = SELECTOR_FIELDS.map(|field| self.texts(field));
        if let (false, false, Some(key)) = (rook.is_empty(), design.is_empty(), first_difference(&rook, &design)) {
            let fault = format!("it disagrees with selectors about \"{key}\"");
            self.problem("interfaces", fault, "keep one of the two; they are names of the same map");
        }
        if rook.is_empty() && !design.is_empty() {
            Selectors { field: "interfaces", texts: design }
        } else {
            Selectors { field: "selectors", texts: rook }
        }
    }

    fn texts(&mut self, field: &str) -> BTreeMap<&'v str, &'v str> {
        let selectors = match self.fields.get(field) {
            None | Some(Value::Null) => return BTreeMap::new(),
            Some(Value::Object(selectors)) => selectors,
            Some(other) => {
                let fault = format!("it must be a map from network key to selector, not {}", type_name(other));
                self.problem(field, fault, "write for example public: my-namespace/my-network");
                return BTreeMap::new();
            }
        };
        let mut texts = BTreeMap::new();
        for (key, selector) in selectors {
            match selector {
                Value::String(text) => _ = texts.insert(key.as_str(), text.as_str()),
                Value::Null => _ = texts.insert(key.as_str(), ""),
                other => {
                    let fault = format!("it must be a text, not {}", type_name(other));
                    self.problem(&format!("{field}.{key}"), fault, "put JSON selectors in quotes or in a block scalar");
                }
            }
        }
        texts
    }

    /// What the known keys select (rules 2 to 4 of Rook's validation). Keys that the system does not know are not read: Rook
    /// lets them be, so that over-specified legacy clusters do not break.
    fn selections(
        &mut self,
        selectors: &Selectors<'v>,
        keys: &[NetworkKey],
        namespace: &str,
    ) -> BTreeMap<NetworkKey, NetworkSelection> {
        if selectors.texts.is_empty() && self.problems.is_empty() {
            let known = keys.iter().map(NetworkKey::as_str).collect::<Vec<_>>().join(" and ");
            let mend = format!("name an attachment definition for {known}, or set provider to \"\"");
            self.problem(selectors.field, "provider multus needs at least one network selector".to_owned(), &mend);
        }
        let known = keys.iter().filter_map(|key| Some((key, *selectors.texts.get(key.as_str())?)));
        let field = format!("{}.{}", self.path, selectors.field);
        read_selections(&field, known, namespace, &mut self.problems)
    }

    /// What Rook reads otherwise than this project, where nothing is wrong.
    fn doubts(
        &self,
        selectors: &Selectors<'v>,
        selections: &BTreeMap<NetworkKey, NetworkSelection>,
    ) -> Vec<SpecProblem> {
        let read = |key: &NetworkKey| {
            let field = format!("{}.{}.{key}", self.path, selectors.field);
            let fault = NetworkSelection::read_otherwise_by_rook(selectors.texts.get(key.as_str())?)?;
            let mend = "write it so that both read the same, as [namespace/]name[@interface] or as one JSON object with nothing around it";
            Some(SpecProblem::new(&field, format!("the selector {fault}"), mend))
        };
        selections.keys().filter_map(read).collect()
    }

    /// Keys that select something for nobody. Rook takes them, and looks at none of them.
    fn unknown_keys(&self, selectors: &Selectors<'v>, keys: &[NetworkKey]) -> Vec<SpecProblem> {
        let known = keys.iter().map(NetworkKey::as_str).collect::<Vec<_>>().join(" and ");
        let is_unknown =
            |(key, text): &(&&str, &&str)| !text.is_empty() && !keys.iter().any(|known| known.as_str() == **key);
        let problem = |(key, _): (&&str, &&str)| {
            let field = format!("{}.{}.{key}", self.path, selectors.field);
            let fault = format!("there is no such key, so no pod gets this network; the keys are {known}");
            SpecProblem {
                kind: ProblemKind::UnknownKey,
                ..SpecProblem::new(&field, fault, "mend the key, or leave it out")
            }
        };
        selectors.texts.iter().filter(is_unknown).map(problem).collect()
    }

    /// The families that daemons use. What is wrong there the API server refuses; no network depends on it.
    fn addressing(&self) -> Addressing {
        if self.fields.get("dualStack").and_then(Value::as_bool) == Some(true) {
            return Addressing::DualStack;
        }
        match self.fields.get("ipFamily").and_then(Value::as_str) {
            Some("IPv4") => Addressing::Only(Family::V4),
            Some("IPv6") => Addressing::Only(Family::V6),
            Some("") | None => Addressing::NotSaid,
            Some(_) => Addressing::Unknown,
        }
    }

    /// The ranges that are declared, by rules 5 to 8 of Rook's validation. They are for Ceph; a decision does not use them.
    fn address_ranges(
        &mut self,
        provider: Option<Provider>,
        selectors: &Selectors<'v>,
    ) -> BTreeMap<NetworkKey, Vec<IpNet>> {
        let mut read: BTreeMap<NetworkKey, Vec<IpNet>> = BTreeMap::new();
        let ranges = match self.fields.get("addressRanges") {
            None | Some(Value::Null) => return read,
            Some(Value::Object(ranges)) => ranges,
            Some(other) => {
                let fault = format!("it must be a map from network key to CIDRs, not {}", type_name(other));
                self.problem("addressRanges", fault, "write for example public: [192.168.20.0/24]");
                return read;
            }
        };
        let mut declared = Vec::new();
        for (key, list) in ranges {
            let field = format!("addressRanges.{key}");
            let list = match list {
                Value::Null => continue,
                Value::Array(list) => list,
                other => {
                    let fault = format!("it must be a list of CIDRs, not {}", type_name(other));
                    self.problem(&field, fault, "write for example [192.168.20.0/24]");
                    continue;
                }
            };
            for range in list {
                match range.as_str().and_then(cidr::parse_cidr) {
                    Some(range) => read.entry(key.as_str().into()).or_default().push(range.trunc()),
                    None => self.problem(
                        &field,
                        format!("{range} is no CIDR"),
                        "write an address and a prefix length, such as 192.168.20.0/24",
                    ),
                }
            }
            if !list.is_empty() {
                declared.push(key);
            }
        }
        match provider {
            Some(Provider::None) if !declared.is_empty() => {
                let fault = "address ranges need the provider host or multus".to_owned();
                self.problem("addressRanges", fault, "set a provider, or remove the ranges");
            }
            Some(Provider::Attach(_)) => {
                for key in declared {
                    if selectors.texts.get(key.as_str()).is_none_or(|selector| selector.is_empty()) {
                        let fault =
                            format!("a range for \"{key}\" needs a selector for \"{key}\" under provider multus");
                        let mend = format!("add {}.{key}, or remove the range", selectors.field);
                        self.problem(&format!("addressRanges.{key}"), fault, &mend);
                    }
                }
            }
            Some(Provider::None | Provider::Host) | None => {}
        }
        read
    }

    fn problem(&mut self, field: &str, fault: String, mend: &str) {
        self.problems.push(SpecProblem::new(&format!("{}.{field}", self.path), fault, mend));
    }
}

/// Reads what keys select, in a resource in `namespace` whose map of them lies at `field`; an empty text selects nothing. What is
/// wrong goes to `problems`.
pub fn read_selections<'t>(
    field: &str,
    texts: impl IntoIterator<Item = (&'t NetworkKey, &'t str)>,
    namespace: &str,
    problems: &mut Vec<SpecProblem>,
) -> BTreeMap<NetworkKey, NetworkSelection> {
    let mut selections: BTreeMap<NetworkKey, NetworkSelection> = BTreeMap::new();
    for (key, text) in texts {
        let field = format!("{field}.{key}");
        let selection = match read_selection(&field, text, namespace) {
            Ok(Some(selection)) => selection,
            Ok(None) => continue,
            Err(problem) => {
                problems.push(problem);
                continue;
            }
        };
        let taken = selections.iter().find(|(_, other)| {
            other.interface.is_some()
                && other.interface == selection.interface
                && other.attachment != selection.attachment
        });
        if let (Some((other, _)), Some(interface)) = (taken, &selection.interface) {
            let fault = format!("it asks for the interface \"{interface}\", and so does \"{other}\"");
            let mend = "give each network an interface name of its own, or none";
            problems.push(SpecProblem { kind: ProblemKind::Interface, ..SpecProblem::new(&field, fault, mend) });
        }
        selections.insert(key.clone(), selection);
    }
    selections
}

/// Reads one selector that lies at `field`; an empty text selects nothing.
///
/// # Errors
/// Where it is no selector.
pub fn read_selection(field: &str, text: &str, namespace: &str) -> Result<Option<NetworkSelection>, SpecProblem> {
    NetworkSelection::from_selector(text, namespace).map_err(|error| {
        let fault = format!("the selector {:?} is invalid: {error}", shorten(text));
        let mend =
            format!("write [namespace/]name[@interface], such as {namespace}/my-network, or the JSON of one selection");
        let kind = match error {
            SelectorError::Interface(_) => ProblemKind::Interface,
            SelectorError::Blank | SelectorError::NotJson(_) | SelectorError::NotOne(_) | SelectorError::Item(_) => {
                ProblemKind::Spec
            }
        };
        SpecProblem { kind, ..SpecProblem::new(field, fault, &mend) }
    })
}

fn first_difference<'v>(one: &BTreeMap<&'v str, &'v str>, other: &BTreeMap<&'v str, &'v str>) -> Option<&'v str> {
    one.keys().chain(other.keys()).find(|key| one.get(*key) != other.get(*key)).copied()
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
