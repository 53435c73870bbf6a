//! Checks for unknown members in nested objects of the arguments, which serde ignores unless a type
//! refuses them itself. The reader of the arguments checks the root object.

use super::shortened::echoed;
use super::site::Site;
use attache_core::json::{Error, Kind, Reader, Value};
use serde_json::Value as Schema;
use std::collections::HashMap;

/// The allowed members of all objects in a schema, computed when the tool is added.
#[derive(Debug)]
pub(super) struct Members {
    /// The nodes; the first one is the root.
    nodes: Vec<Node>,
}

/// The allowed members at one place.
#[derive(Debug, Default)]
struct Node {
    /// The known members of an object, each with the node of its value if that needs checks.
    named: Vec<(String, Option<usize>)>,
    /// Whether other members are refused.
    closed: bool,
    /// The node of the values of all other members.
    other: Option<usize>,
    /// The nodes of the first elements of an array.
    first: Vec<Option<usize>>,
    /// The node of the other elements.
    items: Option<usize>,
}

/// An unknown member and its place.
struct Unknown<'n> {
    /// The path to the object, from the inside out.
    path: Vec<String>,
    name: String,
    known: &'n Node,
}

enum Stop<'n> {
    Unknown(Unknown<'n>),
    /// The JSON is malformed. This cannot occur, because the body was checked.
    Malformed,
}

impl From<Error> for Stop<'_> {
    fn from(_: Error) -> Self {
        Self::Malformed
    }
}

impl Members {
    /// Returns the allowed members of a schema, as it was before it was closed. `None` if nothing
    /// below the root has to be checked.
    pub(super) fn of(schema: &Schema) -> Option<Self> {
        let mut making = Making { root: schema, nodes: vec![], known: HashMap::new() };
        making.node(vec![schema]);
        let mut nodes = making.nodes;
        prune(&mut nodes);
        nodes.first().is_some_and(|root| root.children().any(|child| child.is_some())).then_some(Self { nodes })
    }

    /// Checks the arguments. The error is a sentence for the model.
    pub(super) fn check(&self, arguments: Value<'_>) -> Result<(), String> {
        let Some(root) = self.nodes.first() else { return Ok(()) };
        match self.walk(root, &mut arguments.reader()) {
            Err(Stop::Unknown(Unknown { mut path, name, known })) => {
                path.reverse();
                let known: Vec<&str> = known.named.iter().map(|(name, _)| name.as_str()).collect();
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                let path = path.concat();
                let path = path.trim_start_matches('.');
                Err(format!("Argument '{path}' has no member '{name}'; its members are: {known}"))
            }
            Ok(()) | Err(Stop::Malformed) => Ok(()),
        }
    }

    /// Reads over the next value. The depth of recursion is that of the message, which is limited.
    fn walk<'n>(&'n self, node: &'n Node, reader: &mut Reader<'_>) -> Result<(), Stop<'n>> {
        match reader.kind() {
            Some(Kind::Object) => self.object(node, reader),
            Some(Kind::Array) => self.array(node, reader),
            _ => Ok(reader.skip().map(|_| ())?),
        }
    }

    fn object<'n>(&'n self, node: &'n Node, reader: &mut Reader<'_>) -> Result<(), Stop<'n>> {
        reader.enter_object()?;
        while let Some(key) = reader.key()? {
            let child = match node.named.iter().find(|(name, _)| key.is(name)) {
                Some((_, child)) => *child,
                None if node.closed => {
                    let name = echoed(key.chars());
                    return Err(Stop::Unknown(Unknown { path: vec![], name, known: node }));
                }
                None => node.other,
            };
            self.inside(child, reader, || format!(".{}", echoed(key.chars())))?;
        }
        Ok(())
    }

    fn array<'n>(&'n self, node: &'n Node, reader: &mut Reader<'_>) -> Result<(), Stop<'n>> {
        reader.enter_array()?;
        let mut index = 0;
        while reader.element()? {
            let child = node.first.get(index).copied().unwrap_or(node.items);
            self.inside(child, reader, || format!("[{index}]"))?;
            index += 1;
        }
        Ok(())
    }

    fn inside<'n>(
        &'n self,
        child: Option<usize>,
        reader: &mut Reader<'_>,
        step: impl Fn() -> String,
    ) -> Result<(), Stop<'n>> {
        let Some(node) = child.and_then(|child| self.nodes.get(child)) else {
            return Ok(reader.skip().map(|_| ())?);
        };
        self.walk(node, reader).map_err(|stop| match stop {
            Stop::Unknown(mut unknown) => {
                unknown.path.push(step());
                Stop::Unknown(unknown)
            }
            Stop::Malformed => Stop::Malformed,
        })
    }
}

impl Node {
    fn children(&self) -> impl Iterator<Item = &Option<usize>> {
        let named = self.named.iter().map(|(_, child)| child);
        named.chain(&self.first).chain([&self.other, &self.items])
    }

    fn children_mut(&mut self) -> impl Iterator<Item = &mut Option<usize>> {
        let named = self.named.iter_mut().map(|(_, child)| child);
        named.chain(&mut self.first).chain([&mut self.other, &mut self.items])
    }
}

/// Removes links to nodes below which no object is closed.
fn prune(nodes: &mut [Node]) {
    let mut matters: Vec<bool> = nodes.iter().map(|node| node.closed).collect();
    // A type may contain itself, so this repeats until no more nodes are found.
    loop {
        let found = nodes
            .iter()
            .enumerate()
            .find(|(index, node)| !matters[*index] && node.children().flatten().any(|child| matters[*child]));
        match found {
            Some((index, _)) => matters[index] = true,
            None => break,
        }
    }
    for child in nodes.iter_mut().flat_map(Node::children_mut) {
        *child = child.filter(|child| matters[*child]);
    }
}

/// The nodes during construction.
struct Making<'a> {
    root: &'a Schema,
    nodes: Vec<Node>,
    /// The nodes by the addresses of their schemas, so that a recursive type ends.
    known: HashMap<Vec<*const Schema>, usize>,
}

impl<'a> Making<'a> {
    /// Returns the node of a value that these schemas describe.
    fn node(&mut self, schemas: Vec<&'a Schema>) -> Option<usize> {
        if schemas.is_empty() {
            return None;
        }
        let places: Vec<_> = schemas.iter().map(|schema| core::ptr::from_ref(*schema)).collect();
        if let Some(known) = self.known.get(&places) {
            return Some(*known);
        }
        let index = self.nodes.len();
        self.known.insert(places, index);
        self.nodes.push(Node::default());
        let site = Site::of(self.root, &schemas);
        let of = |keyword: &str| -> Vec<&'a Schema> {
            site.parts.iter().filter_map(|part| part.get(keyword)).filter(|schema| schema.is_object()).collect()
        };
        let named = |name: &str| site.parts.iter().filter_map(|part| part.get("properties")?.get(name)).collect();
        let all = site.parts.iter().filter_map(|part| part.get("properties")?.as_object()).flat_map(|all| all.keys());
        let mut names: Vec<&String> = Vec::new();
        all.for_each(|name| {
            if !names.contains(&name) {
                names.push(name);
            }
        });
        let places = site.parts.iter().filter_map(|part| part.get("prefixItems")?.as_array());
        let len = places.clone().map(Vec::len).max().unwrap_or(0);
        let node = Node {
            closed: site.names().is_some(),
            named: names.into_iter().map(|name| (name.clone(), self.node(named(name)))).collect(),
            other: self.node(of("additionalProperties")),
            items: self.node(of("items")),
            first: (0..len)
                .map(|index| self.node(places.clone().filter_map(|schemas| schemas.get(index)).collect()))
                .collect(),
        };
        self.nodes[index] = node;
        Some(index)
    }
}

#[cfg(test)]
mod tests {
    use super::super::arguments::read;
    use super::super::schema::Schema as Of;
    use attache_core::json::Value as Text;
    use attache_core::tool::{Arguments, Kind};
    use schemars::JsonSchema;
    use serde::Deserialize;
    use serde::de::DeserializeOwned;
    use std::collections::BTreeMap;

    #[derive(Deserialize, JsonSchema)]
    #[expect(dead_code, reason = "only what is read matters")]
    struct Search {
        filter: Option<Filter>,
        all: Option<Vec<Filter>>,
        by_name: Option<BTreeMap<String, Filter>>,
        pair: Option<(u8, Filter)>,
        any: Option<serde_json::Value>,
        object: Option<serde_json::Map<String, serde_json::Value>>,
        open: Option<Open>,
        flat: Option<Flat>,
        mode: Option<Mode>,
        tagged: Option<Tagged>,
        either: Option<Either>,
        strict: Option<Strict>,
        #[serde(rename = "a/b~c")]
        odd: Option<Filter>,
    }

    /// A filter.
    #[derive(Deserialize, JsonSchema)]
    #[expect(dead_code, reason = "only what is read matters")]
    struct Filter {
        color: Option<String>,
        not: Option<Box<Filter>>,
    }

    #[derive(Deserialize, JsonSchema)]
    #[expect(dead_code, reason = "only what is read matters")]
    struct Open {
        id: Option<u8>,
        #[serde(flatten)]
        rest: BTreeMap<String, u8>,
    }

    #[derive(Deserialize, JsonSchema)]
    #[expect(dead_code, reason = "only what is read matters")]
    struct Flat {
        id: Option<u8>,
        #[serde(flatten)]
        rest: Filter,
        #[serde(flatten)]
        way: Option<Mode>,
    }

    #[derive(Deserialize, JsonSchema)]
    #[serde(rename_all = "snake_case")]
    #[expect(dead_code, reason = "only what is read matters")]
    enum Mode {
        Off,
        Level(u8),
        Named { x: u8 },
        Filtered(Filter),
    }

    #[derive(Deserialize, JsonSchema)]
    #[serde(tag = "kind")]
    #[expect(dead_code, reason = "only what is read matters")]
    enum Tagged {
        Point { x: u8 },
        Filter(Filter),
    }

    #[derive(Deserialize, JsonSchema)]
    #[serde(untagged)]
    #[expect(dead_code, reason = "only what is read matters")]
    enum Either {
        Number(u8),
        Filter(Filter),
        Other { other: u8 },
    }

    #[derive(Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only what is read matters")]
    struct Strict {
        a: Option<u8>,
    }

    /// Reads `json`, and checks that the schema agrees. Returns the error, if there is one.
    fn outcome<A: DeserializeOwned + JsonSchema>(json: &str) -> Option<String> {
        let schema = Of::of::<A>("t");
        let value = Text::parse(json.as_bytes()).unwrap_or_else(|error| panic!("{error}: {json}"));
        let refused = read::<A>(Arguments::new(Some(value)), &schema, Kind::Tool).err();
        let instance: serde_json::Value = serde_json::from_str(json).expect("JSON");
        let valid = jsonschema::is_valid(&schema.value, &instance);
        assert_eq!(valid, refused.is_none(), "{json}: {refused:?} by {}", schema.value);
        refused
    }

    #[test]
    fn unknown_member_below_the_root_is_refused_with_a_list_of_the_known_ones() {
        for (json, says) in [
            (r#"{"filter":{"color":"red","not":{"color":"blue"}}}"#, None),
            (r#"{"filter":null,"all":[],"by_name":{},"any":{"x":{"y":1}},"object":{"x":{}}}"#, None),
            (
                r#"{"filter":{"colour":1}}"#,
                Some("Argument 'filter' has no member 'colour'; its members are: color, not"),
            ),
            (
                r#"{"filter":{"not":{"Color":"x"}}}"#,
                Some("Argument 'filter.not' has no member 'Color'; its members are: color, not"),
            ),
            (
                r#"{"filter":{"not":{"not":{"not":{"no":1}}}}}"#,
                Some("Argument 'filter.not.not.not' has no member 'no'"),
            ),
            (r#"{"all":[{"color":"x"},{},{"x":1}]}"#, Some("Argument 'all[2]' has no member 'x'")),
            (
                r#"{"by_name":{"any":{"color":"x"},"other":{"y":1}}}"#,
                Some("Argument 'by_name.other' has no member 'y'"),
            ),
            (r#"{"pair":[1,{"color":"x"}]}"#, None),
            (r#"{"pair":[1,{"colour":"x"}]}"#, Some("Argument 'pair[1]' has no member 'colour'")),
            (r#"{"open":{"id":1,"other":2,"more":3}}"#, None),
            (r#"{"flat":{"id":1,"color":"x","level":2}}"#, None),
            (r#"{"flat":{"id":1,"colour":"x"}}"#, Some("Argument 'flat' has no member 'colour'")),
            (r#"{"flat":{"not":{"x":1}}}"#, Some("Argument 'flat.not' has no member 'x'")),
            (r#"{"mode":"off"}"#, None),
            (r#"{"mode":{"named":{"x":1}}}"#, None),
            (
                r#"{"mode":{"named":{"x":1,"y":2}}}"#,
                Some("Argument 'mode.named' has no member 'y'; its members are: x"),
            ),
            (r#"{"mode":{"filtered":{"z":1}}}"#, Some("Argument 'mode.filtered' has no member 'z'")),
            (r#"{"tagged":{"kind":"Point","x":1}}"#, None),
            (r#"{"tagged":{"kind":"Point","x":1,"y":2}}"#, Some("Argument 'tagged' has no member 'y'")),
            (r#"{"tagged":{"kind":"Filter","color":"x"}}"#, None),
            (r#"{"tagged":{"kind":"Filter","colour":"x"}}"#, Some("Argument 'tagged' has no member 'colour'")),
            (r#"{"either":7}"#, None),
            (r#"{"either":{"color":"x"}}"#, None),
            (r#"{"either":{"other":1}}"#, None),
            (r#"{"either":{"another":1}}"#, Some("Argument 'either' has no member 'another'")),
            (r#"{"strict":{"a":1}}"#, None),
            (r#"{"strict":{"b":1}}"#, Some("Argument 'strict' has no member 'b'; its members are: a")),
            (r#"{"a/b~c":{"color":"x"}}"#, None),
            (r#"{"a/b~c":{"colour":"x"}}"#, Some("Argument 'a/b~c' has no member 'colour'")),
        ] {
            let outcome = outcome::<Search>(json);
            match says {
                None => assert_eq!(outcome, None, "{json}"),
                Some(says) => {
                    assert!(outcome.as_ref().is_some_and(|said| said.starts_with(says)), "{json}: {outcome:?}")
                }
            }
        }
    }

    #[test]
    fn error_message_quotes_only_the_beginning_of_a_long_member_name() {
        let long = "x".repeat(10_000);
        let said = outcome::<Search>(&format!(r#"{{"by_name":{{"{long}":{{"{long}":1}}}}}}"#)).expect("refused");
        assert!(said.len() < 500, "{}", said.len());
    }
}
