//! What a list of movies is asked for by.

use serde_json::{Value, json};
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn, ParameterStyle};
use utoipa::openapi::{ArrayBuilder, ObjectBuilder, Ref, RefOr, Required, Schema, Type};

use crate::domain::{DirectorName, Filter, ImdbId, Measure, Query};
use crate::http::openapi::schemas::{GENRE_OR_SLUG, ID, MEMBERS, sent, text};

/// The names of all of them.
pub(in crate::http::openapi) const FIND: &[&str] = &[
    "find-id",
    "imdb_id",
    "genre",
    "director",
    "q",
    "year",
    "runtime_minutes",
    "rating",
    "votes",
    "popularity",
    "sort",
    "limit",
    "offset",
    "cursor",
    "fields",
];

/// All of them, by name.
pub(super) fn all() -> Vec<(&'static str, Parameter)> {
    let ids = format!("Only the movies with these ids: at most {} different ones.", Filter::MAX_IDS);
    let imdb_ids =
        format!("Only the movies with these ids of IMDb: at most {} different ones.", Filter::MAX_IDS);
    let terms = format!("Genres, directors and words may be at most {} together.", Filter::MAX_TERMS);
    let mut all = vec![
        ("find-id", list("id", Ref::from_schema_name(ID), &ids, json!([1, 2, 3]))),
        (
            "imdb_id",
            list(
                "imdb_id",
                string().pattern(Some(text::imdb_id(&ImdbId::DIGITS))),
                &imdb_ids,
                json!(["tt0032138", "tt0111161"]),
            ),
        ),
        (
            "genre",
            repeated(
                "genre",
                Ref::from_schema_name(GENRE_OR_SLUG),
                &format!("The name or the slug of a genre; repeated, a movie must have all of them. {terms}"),
                json!(["Drama", "film-noir"]),
            ),
        ),
        (
            "director",
            repeated(
                "director",
                sent(DirectorName::MAX),
                &format!("The name of a director; repeated, a movie must have all of them. {terms}"),
                json!(["Victor Fleming"]),
            ),
        ),
        (
            "q",
            one(
                "q",
                string().pattern(Some(r"[\p{L}\p{N}]")),
                &format!(
                    "Words that the title must have, without regard to case and accents; `wiz*` is the beginning of one. {terms}"
                ),
                json!("wiz* oz"),
            ),
        ),
    ];
    all.extend(Measure::ALL.map(|measure| (measure.name(), span(measure))));
    all.extend([
        (
            "sort",
            one(
                "sort",
                string().pattern(Some(order())),
                "By which members, `-` in front of what is to descend; at most 4, each once. Movies without a value come \
                 last. What ties is ordered by `id`.",
                json!("year,-votes"),
            ),
        ),
        (
            "limit",
            one(
                "limit",
                whole().minimum(Some(1)).maximum(Some(Query::MAX_LIMIT)).default(Some(json!(Query::DEFAULT_LIMIT))),
                "How many movies a page has, where any parameter is given.",
                json!(20),
            ),
        ),
        (
            "offset",
            one(
                "offset",
                whole().minimum(Some(0)).maximum(Some((1_i64 << 53) - 1)),
                "Where the page begins: after so many. Not beside `cursor`.",
                json!(40),
            ),
        ),
        (
            "cursor",
            one(
                "cursor",
                string(),
                "Where the page begins: a place that a `Link` of a page with the same filters and sort gave, not to be \
                 looked into. Pages by cursors stay right while others write: no movie comes twice, and none is \
                 skipped that is there throughout.",
                json!("AQAxA5bVvR7XqQwAAAAAAAAAUEmTL7H8gQE"),
            ),
        ),
        (
            "fields",
            list(
                "fields",
                string().enum_values(Some(MEMBERS)),
                "Which members of a movie are told.",
                json!(["id", "title", "genres"]),
            ),
        ),
    ]);
    all
}

/// A number, or a range of them with one end or both.
fn span(measure: Measure) -> Parameter {
    let (number, example) = match measure {
        Measure::Rating | Measure::Popularity => (r"-?[0-9]+(\.[0-9]+)?", "7.5.."),
        Measure::Year => ("-?[0-9]+", "1990..1999"),
        Measure::RuntimeMinutes => ("-?[0-9]+", "..90"),
        Measure::Votes => ("-?[0-9]+", "1000.."),
    };
    let pattern = format!(r"^({number}(\.\.({number})?)?|\.\.{number})$");
    let name = measure.name();
    let description = format!(
        "Only the movies whose `{name}` is this, or within a range: `{example}`. Both its ends belong to it."
    );
    one(name, string().pattern(Some(pattern)), &description, json!(example))
}

/// `year,-votes`: what is ordered by is named once.
fn order() -> String {
    let measures = Measure::ALL.map(Measure::name);
    let key = format!("(title|id|{})", measures.join("|"));
    format!(r"^(?!.*\b{key}\b.*\b\1\b)-?{key}(,-?{key}){{0,3}}$")
}

fn string() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

fn whole() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Integer)
}

fn one(name: &str, schema: impl Into<RefOr<Schema>>, description: &str, example: Value) -> Parameter {
    parameter(name, schema, description, example).build()
}

/// `1,2,3`
pub(super) fn list(
    name: &str,
    item: impl Into<RefOr<Schema>>,
    description: &str,
    example: Value,
) -> Parameter {
    let items = ArrayBuilder::new().items(item.into()).min_items(Some(1));
    parameter(name, items, description, example)
        .style(Some(ParameterStyle::Form))
        .explode(Some(false))
        .build()
}

/// `genre=Drama&genre=War`
fn repeated(name: &str, item: impl Into<RefOr<Schema>>, description: &str, example: Value) -> Parameter {
    let items = ArrayBuilder::new().items(item.into());
    parameter(name, items, description, example).style(Some(ParameterStyle::Form)).explode(Some(true)).build()
}

fn parameter(
    name: &str,
    schema: impl Into<RefOr<Schema>>,
    description: &str,
    example: Value,
) -> ParameterBuilder {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Query)
        .required(Required::False)
        .schema(Some(schema))
        .description(Some(description))
        .example(Some(example))
}

#[cfg(test)]
mod tests {
    use jsonschema::Validator;
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{Sort, Span};

    fn schema(name: &str) -> Validator {
        let (_, parameter) = all().into_iter().find(|(known, _)| *known == name).unwrap();
        jsonschema::validator_for(&serde_json::to_value(parameter.schema).unwrap()).unwrap()
    }

    fn agree(name: &str, text: &str, read: bool) {
        assert_eq!(schema(name).is_valid(&json!(text)), read, "{name}={text}: the reader says {read}");
    }

    #[test]
    fn what_is_documented_is_what_is_read() {
        for text in [
            "",
            "year",
            "-year",
            "year,",
            "year,-votes",
            "year,-year",
            "title,title",
            "runtime_minutes,year",
            "title,year,rating,votes",
            "title,year,rating,votes,id",
            "id,-id",
            "--id",
            "genre",
            "votes,-popularity,id",
        ] {
            agree("sort", text, Sort::parse(text).is_ok());
        }
        for text in [
            "",
            "..",
            "1",
            "-1",
            "1..",
            "..1",
            "1..2",
            "2..1",
            "1..2..3",
            "1...2",
            "1.5",
            "1.5..",
            "..1.5",
            ".5",
            "5.",
            "+1",
            "1e3",
            " 1",
            "007",
            "--1",
            "1.5..2.5",
            "99999999999999999999999",
        ] {
            for measure in Measure::ALL {
                agree(measure.name(), text, Span::parse(measure, text).is_ok());
            }
        }
    }

    proptest! {
        #[test]
        fn any_order_and_any_range_is_read_by_both_or_by_none(
            keys in prop::collection::vec("-?(id|title|year|votes|rating|genre)", 1..6), range in "[-0-9.]{0,8}",
        ) {
            let order = keys.join(",");
            agree("sort", &order, Sort::parse(&order).is_ok());
            agree("rating", &range, Span::parse(Measure::Rating, &range).is_ok());
            agree("votes", &range, Span::parse(Measure::Votes, &range).is_ok());
        }
    }
}
