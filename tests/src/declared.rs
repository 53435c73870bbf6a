//! Declared arguments and results: the supported types, the values that each accepts, and errors
//! that name the path of the argument.

use attache_core::json::{Text, Value as Json};
use attache_core::mcp::Server;
use attache_core::testing::Client;
use attache_core::tool::{
    Args, Arguments, BySerde, Call, Described, Fixed, List, Nothing, OrFail, Outcome, Output, Tables, ToolError,
    ToolResult, Within,
};
use serde_json::{Value, json};

attache_core::args! {
    /// One argument of each type.
    #[derive(Debug)]
    pub struct Every<'a> {
        /** a truth value */ truth: Option<bool>,
        /** a small number */ small: Option<u8>,
        /** a percentage */ share: Option<Within<u8, 0, 100>>,
        /** a temperature */ celsius: Option<Fixed<1, -400, 1250>>,
        /** a float */ single: Option<f32>,
        /** a float */ double: Option<f64>,
        /** a mode */ mode: Option<Mode>,
        /** a text */ text: Option<Text<'a>>,
        /** a text in place */ plain: Option<&'a str>,
        /** a text of one's own */ owned: Option<heapless::String<4>>,
        /** three numbers */ three: Option<[i16; 3]>,
        /** numbers of one's own */ some: Option<heapless::Vec<u8, 2>>,
        /** as many as there are */ many: Option<List<'a, Point>>,
        /** a struct */ point: Option<Point>,
        /** a keyword */ r#type: Option<bool>,
        /** another name */ #[name = "x-level"] level: Option<u8>,
    }
}
attache_core::args! {
    /// A nested struct.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub struct Point {
        /** to the right */ x: i8,
        /** up */ y: i8 = -1,
        /** what it is */ mode: Option<Mode>,
    }
}
attache_core::args! {
    /// A closed set.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub enum Mode { /** as it is */ Heat, RoomSensor, Off = "switched off" }
}
attache_core::args! {
    /// Defaults.
    #[derive(Debug)]
    pub struct Defaults {
        /** a number */ number: u8 = 50,
        /** a decimal */ decimal: Fixed<2> = -21.5,
        /** a float */ float: f32 = 0.5,
        /** a truth value */ truth: bool = true,
        /** a mode */ mode: Mode = "room_sensor",
        /** may be null, too */ nullable: Option<u8> = 7,
        /** in no build */ #[cfg(any())] absent: u8,
        /** in every build */ #[cfg(all())] present: Option<u8>,
    }
}

fn read<'a, A: Args<'a>>(text: &'a str) -> Result<A, String> {
    let value = Json::parse(text.as_bytes()).expect("JSON");
    Arguments::new(Some(value)).read::<A>().map_err(|error| error.to_string())
}

#[test]
fn value_of_each_type_is_read() {
    let every: Every<'_> = read(
        r#"{"truth":false,"small":255,"share":100,"celsius":-40.0,"single":0.1,"double":-1e300,"mode":"room_sensor",
            "text":"\u0061","plain":"é","owned":"\u00e9ab","three":[-1,2,3.0],"some":[7],"many":[{"x":1},{"x":2,"y":3}],
            "point":{"x":-128,"mode":"switched off"},"type":true,"x-level":9}"#,
    )
    .expect("all fit");
    assert_eq!((every.truth, every.small, every.share.map(Within::get)), (Some(false), Some(255), Some(100)));
    assert_eq!(every.celsius.map(Fixed::units), Some(-400));
    assert_eq!((every.single, every.double, every.mode), (Some(0.1), Some(-1e300), Some(Mode::RoomSensor)));
    assert!(every.text.is_some_and(|text| text.is("a")));
    assert_eq!((every.plain, every.owned.as_deref(), every.three), (Some("é"), Some("éab"), Some([-1, 2, 3])));
    assert_eq!(every.some.as_deref(), Some(&[7][..]));
    let many: Vec<Point> = every.many.expect("an array").iter().collect();
    assert_eq!(many, [Point { x: 1, y: -1, mode: None }, Point { x: 2, y: 3, mode: None }]);
    assert_eq!(every.point, Some(Point { x: -128, y: -1, mode: Some(Mode::Off) }));
    assert_eq!((every.r#type, every.level), (Some(true), Some(9)));
}

#[test]
fn value_that_does_not_fit_is_refused_by_its_path_and_never_rounded_or_clamped() {
    for (arguments, words) in [
        (r#"{"truth":1}"#, "Argument 'truth' must be true or false"),
        (r#"{"small":256}"#, "Argument 'small' must be an integer from 0 to 255"),
        (r#"{"small":1.5}"#, "Argument 'small' must be an integer from 0 to 255"),
        (r#"{"small":"1"}"#, "Argument 'small' must be an integer from 0 to 255"),
        (r#"{"share":101}"#, "Argument 'share' must be an integer from 0 to 100"),
        (r#"{"share":-1}"#, "Argument 'share' must be an integer from 0 to 100"),
        (
            r#"{"celsius":125.1}"#,
            "Argument 'celsius' must be a number from -40.0 to 125.0 with at most 1 decimal place",
        ),
        (
            r#"{"celsius":21.55}"#,
            "Argument 'celsius' must be a number from -40.0 to 125.0 with at most 1 decimal place",
        ),
        (r#"{"single":1e39}"#, "Argument 'single' must be a number that fits 32 bits of floating point"),
        (r#"{"double":1e309}"#, "Argument 'double' must be a number that fits 64 bits of floating point"),
        (r#"{"double":"NaN"}"#, "Argument 'double' must be a number that fits 64 bits of floating point"),
        (r#"{"mode":"Heat"}"#, "Argument 'mode' must be one of heat, room_sensor, switched off"),
        (r#"{"mode":null,"text":7}"#, "Argument 'text' must be a string"),
        (r#"{"plain":"a\u0062"}"#, "Argument 'plain' must be a string without escape sequences"),
        (r#"{"owned":"ééa"}"#, "Argument 'owned' must be a string of at most 4 bytes"),
        (r#"{"three":[1,2]}"#, "Argument 'three' must be an array of 3 elements"),
        (r#"{"three":[1,2,3,4]}"#, "Argument 'three' must be an array of 3 elements"),
        (r#"{"three":[1,40000,3]}"#, "Argument 'three[1]' must be an integer from -32768 to 32767"),
        (r#"{"three":{}}"#, "Argument 'three' must be an array of 3 elements"),
        (r#"{"some":[1,2,3]}"#, "Argument 'some' must be an array of at most 2 elements"),
        (r#"{"some":[1,null]}"#, "Argument 'some[1]' must be an integer from 0 to 255"),
        (r#"{"many":[{"x":1},{"x":2,"y":200}]}"#, "Argument 'many[1].y' must be an integer from -128 to 127"),
        (r#"{"many":[{"x":1},[]]}"#, "Argument 'many[1]' must be an object"),
        (r#"{"many":7}"#, "Argument 'many' must be an array"),
        (r#"{"many":[{"y":1}]}"#, "Argument 'many[0].x' is missing"),
        (r#"{"point":{}}"#, "Argument 'point.x' is missing"),
        (r#"{"point":{"x":1,"z":2}}"#, "This tool has no argument 'point.z'"),
        (r#"{"point":{"x":1,"\u0078":2}}"#, r"Argument 'point.\u0078' is there more than once"),
        (r#"{"point":{"x":1,"y":null}}"#, "Argument 'point.y' must be an integer from -128 to 127"),
        (r#"{"point":{"x":1,"mode":"cold"}}"#, "Argument 'point.mode' must be one of heat, room_sensor, switched off"),
        (r#"{"point":[1]}"#, "Argument 'point' must be an object"),
        (r#"{"r#type":true}"#, "This tool has no argument 'r#type'"),
        (r#"{"level":1}"#, "This tool has no argument 'level'"),
        (r#"{"x-level":1,"x-level":1}"#, "Argument 'x-level' is there more than once"),
    ] {
        assert_eq!(read::<Every<'_>>(arguments).map(|_| ()), Err(words.to_owned()), "{arguments}");
    }
}

#[test]
fn argument_that_is_left_out_has_its_default_and_null_is_none() {
    let all: Defaults = read("{}").expect("defaults");
    assert_eq!((all.number, all.decimal.units(), all.float, all.truth), (50, -2150, 0.5, true));
    assert_eq!((all.mode, all.nullable, all.present), (Mode::RoomSensor, Some(7), None));
    let given: Defaults = read(r#"{"number":1,"nullable":null,"mode":"heat"}"#).expect("they fit");
    assert_eq!((given.number, given.nullable, given.mode), (1, None, Mode::Heat));
    assert!(read::<Defaults>(r#"{"number":null}"#).is_err());
    assert_eq!(read::<Defaults>(r#"{"absent":1}"#).map(|_| ()), Err("This tool has no argument 'absent'".to_owned()));
}

#[test]
fn schema_says_of_each_type_what_its_reader_takes() {
    let schema: Value = serde_json::from_str(Every::SCHEMA).expect("JSON");
    let point = json!({
        "x": {"description": "to the right", "type": "integer", "minimum": -128, "maximum": 127},
        "y": {"description": "up", "type": "integer", "minimum": -128, "maximum": 127, "default": -1},
        "mode": {"description": "what it is", "type": ["string", "null"], "enum": ["heat", "room_sensor", "switched off", null]},
    });
    for (name, property) in [
        ("share", json!({"description": "a percentage", "type": ["integer", "null"], "minimum": 0, "maximum": 100})),
        (
            "celsius",
            json!({"description": "a temperature", "type": ["number", "null"], "minimum": -40.0, "maximum": 125.0}),
        ),
        ("single", json!({"description": "a float", "type": ["number", "null"]})),
        (
            "mode",
            json!({"description": "a mode", "type": ["string", "null"], "enum": ["heat", "room_sensor", "switched off", null]}),
        ),
        ("owned", json!({"description": "a text of one's own", "type": ["string", "null"], "maxLength": 4})),
        (
            "three",
            json!({"description": "three numbers", "type": ["array", "null"], "minItems": 3, "maxItems": 3,
            "items": {"type": "integer", "minimum": -32768, "maximum": 32767}}),
        ),
        (
            "some",
            json!({"description": "numbers of one's own", "type": ["array", "null"], "maxItems": 2,
            "items": {"type": "integer", "minimum": 0, "maximum": 255}}),
        ),
        (
            "point",
            json!({"description": "a struct", "type": ["object", "null"], "properties": point, "required": ["x"],
            "additionalProperties": false}),
        ),
        (
            "many",
            json!({"description": "as many as there are", "type": ["array", "null"], "items": {
            "type": "object", "properties": point, "required": ["x"], "additionalProperties": false}}),
        ),
        ("type", json!({"description": "a keyword", "type": ["boolean", "null"]})),
    ] {
        assert_eq!(schema["properties"][name], property, "{name}");
    }
    assert!(schema["properties"]["x-level"].is_object() && schema.get("required").is_none(), "{schema}");
    let schema: Value = serde_json::from_str(Defaults::SCHEMA).expect("JSON");
    let defaults =
        ["number", "decimal", "float", "truth", "mode"].map(|name| schema["properties"][name]["default"].clone());
    assert_eq!(json!(defaults), json!([50, -21.5, 0.5, true, "room_sensor"]));
    assert!(schema["properties"].get("absent").is_none() && schema["properties"]["present"].is_object());
}

attache_core::results! {
    /// A measurement.
    pub struct Reading<'a> {
        /// degrees Celsius
        celsius: Fixed<1>,
        /// how it was measured
        mode: Mode,
        /// a remark
        remark: Option<&'a str>,
        /// the last values
        last: [u16; 2],
        /// where
        #[name = "place"]
        r#where: Place,
    }
}
attache_core::results! {
    /// A place.
    pub struct Place {
        /// number of the room
        room: u8,
    }
}

struct Board<P>(P);

pub(crate) trait Pin {
    fn level(&self) -> Result<u8, &'static str>;
}

struct Broken;
impl Pin for Broken {
    fn level(&self) -> Result<u8, &'static str> {
        Err("a driver's error")
    }
}

attache_core::tools! {
    /// Tools of a board with any pin.
    pub(crate) mod tools<P: Pin> for Board<P> {
        /// Measure the air.
        ///
        /// The description may have
        /// any number of lines.
        #[read_only]
        #[title = "Air"]
        async fn measure(Nothing) -> Reading<'static>;
        /// The level of a pin
        #[name = "pin.level"]
        fn level(Nothing);
        /// In no build
        #[cfg(any())]
        fn absent(Missing);
        /// Formatted text
        #[cfg(all())]
        fn told(Nothing);
        /// An object
        fn r#match(Nothing);
        /// Fails with a number in its reason
        fn pump(Nothing);
        /// Says who calls
        fn who(Nothing, Call);
    }
}

impl<P: Pin> Board<P> {
    async fn measure(&self, _: Nothing, _: &mut Output<'_>) -> Result<Reading<'static>, ToolError> {
        let celsius = Fixed::nearest(21.46).or_fail("out of range")?;
        let r#where = Place { room: 7 };
        Ok(Reading { celsius, mode: Mode::Heat, remark: Some("\"warm\""), last: [1, 2], r#where })
    }

    fn level(&self, _: Nothing, out: &mut Output<'_>) -> ToolResult {
        let level = self.0.level().or_fail("the pin does not answer")?;
        write!(out, "{level}")
    }

    fn told(&self, _: Nothing, out: &mut Output<'_>) -> ToolResult {
        write!(out, "{} of {}", 1, 2)?;
        out.text_with(|text| {
            text.fixed(215, 1)?;
            write!(text, " °C")
        })
    }

    fn r#match(&self, _: Nothing, out: &mut Output<'_>) -> ToolResult {
        out.object(|object| {
            object
                .field("rate", 3)?
                .field("unit", "l/min")?
                .object("nested", |object| object.field("none", None::<u8>))?
                .array("last", [true, false])
        })
    }

    fn who(&self, _: Nothing, call: Call<'_>, out: &mut Output<'_>) -> ToolResult {
        out.text(if call.who().key_name().is_some() { "a key" } else { "anybody" })
    }

    fn pump(&self, _: Nothing, out: &mut Output<'_>) -> ToolResult {
        out.text("taken back")?;
        out.fail_with(|text| write!(text, "pump {} is dry", 3))
    }
}

static SERVER: Server<'static> = Server::new("s", "1", &const { Tables::of_tools(tools::TOOLS) });

fn called(tool: &str) -> Value {
    let mut client = Client::<1024>::of(&SERVER);
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let board = Board(Broken);
    let dispatch = |call: Call<'_>, out: &mut Output<'_>| runtime.block_on(tools::dispatch(&board, call, out));
    serde_json::from_slice(client.call(tool, "{}", dispatch).expect("a result").raw()).expect("JSON")
}

#[test]
fn result_of_a_declared_type_is_structured_and_a_text_at_once() {
    let result = called("measure");
    let reading = json!({"celsius": 21.5, "mode": "heat", "remark": "\"warm\"", "last": [1, 2], "place": {"room": 7}});
    assert_eq!(result["structuredContent"], reading, "{result}");
    let text = result["content"][0]["text"].as_str().expect("a text");
    assert_eq!(serde_json::from_str::<Value>(text).expect("JSON"), reading);
    let schema: Value = serde_json::from_str(Reading::SCHEMA).expect("JSON");
    assert_eq!(schema["required"], json!(["celsius", "mode", "remark", "last", "place"]));
    assert_eq!(schema["properties"]["remark"]["type"], json!(["string", "null"]));
    assert_eq!(schema["properties"]["mode"]["enum"], json!(["heat", "room_sensor", "switched off"]));
    assert_eq!(schema["properties"]["place"]["properties"]["room"]["type"], "integer");
}

#[test]
fn tool_table_has_what_its_attributes_say() {
    let listed: Vec<Value> = tools::TOOLS
        .iter()
        .map(|tool| {
            let members: Vec<_> = tool.members().iter().map(|member| member.json).collect();
            serde_json::from_str(&format!("{{{}}}", members.join(","))).expect("JSON")
        })
        .collect();
    let names: Vec<_> = listed.iter().map(|tool| tool["name"].as_str().expect("a name")).collect();
    assert_eq!(names, ["measure", "pin.level", "told", "match", "pump", "who"]);
    assert_eq!(listed[0]["description"], "Measure the air. The description may have any number of lines.");
    assert_eq!((&listed[0]["title"], &listed[0]["annotations"]["readOnlyHint"]), (&json!("Air"), &json!(true)));
    let output: Value = serde_json::from_str(Reading::SCHEMA).expect("JSON");
    assert_eq!((&listed[0]["outputSchema"], listed[1].get("outputSchema")), (&output, None));
}

#[test]
fn tools_write_texts_objects_and_reasons() {
    assert_eq!(
        called("told")["content"],
        json!([{"type": "text", "text": "1 of 2"}, {"type": "text", "text": "21.5 °C"}])
    );
    assert_eq!(called("who")["content"][0]["text"], "anybody");
    let object = json!({"rate": 3, "unit": "l/min", "nested": {"none": null}, "last": [true, false]});
    assert_eq!(called("match")["structuredContent"], object);
    for (tool, reason) in [("pin.level", "the pin does not answer"), ("pump", "pump 3 is dry")] {
        let result = called(tool);
        assert_eq!(
            (&result["isError"], &result["content"]),
            (&json!(true), &json!([{"type": "text", "text": reason}]))
        );
    }
}

/// A type that exists already.
#[derive(Debug, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    level: u8,
    gains: [f32; 2],
    #[serde(default)]
    name: Option<u16>,
}

impl Described for Settings {
    const SCHEMA: &'static str = r#"{"type":"object","properties":{"level":{"type":"integer"}},"required":["level"]}"#;
}

#[test]
fn type_of_serde_is_read_as_arguments_within_a_bounded_depth() {
    let good = Settings { level: 7, gains: [0.5, 2.0], name: None };
    assert_eq!(read::<BySerde<Settings>>(r#"{"level":7,"gains":[0.5,2]}"#), Ok(BySerde(good)));
    let unfit = "The arguments do not fit the schema of this tool";
    let brackets =
        |depth: usize| format!(r#"{{"level":7,"gains":[0.5,2],"name":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
    let texts = r#"{"level":7,"gains":[0.5,2],"\"[[[[[[[[[[":1}"#;
    for arguments in [
        "{}",
        r#"{"level":256,"gains":[0,0]}"#,
        r#"{"level":1,"gains":[0,0],"other":1}"#,
        texts,
        &brackets(7),
        &brackets(60),
    ] {
        assert_eq!(read::<BySerde<Settings>>(arguments), Err(unfit.to_owned()), "{arguments}");
    }
}

#[test]
fn value_of_serde_is_a_structured_result_or_does_not_fit() {
    let mut client = Client::<1024>::of(&SERVER);
    let mut answered = |room: usize| {
        let settings = Settings { level: 7, gains: [0.5, 2.0], name: Some(1) };
        let handler = |_: Call<'_>, out: &mut Output<'_>| out.serialize(&settings, &mut vec![0; room]);
        client.call("told", "{}", handler).map(|result| result.raw().to_vec()).map_err(|_| ())
    };
    let result: Value = serde_json::from_slice(&answered(100).expect("it fits")).expect("JSON");
    assert_eq!(result["structuredContent"], json!({"level": 7, "gains": [0.5, 2.0], "name": 1}));
    assert_eq!(answered(20), Err(()));
}

#[test]
fn decimal_is_the_nearest_one_and_none_beyond_its_range() {
    for (number, units) in
        [(21.46, Some(215)), (21.44, Some(214)), (-0.05, Some(-1)), (-41.0, None), (f32::NAN, None), (1e30, None)]
    {
        assert_eq!(Fixed::<1, -400, 1250>::nearest(number).map(Fixed::units), units, "{number}");
    }
}
