//! A movie: as it is told, as it is sent, and in the spelling of the well-known `imdb.json`.

use serde_json::{Value, json};
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::schema::{KnownFormat, SchemaFormat, SchemaType};
use utoipa::openapi::{Array, ArrayBuilder, ObjectBuilder, RefOr, Schema, Type};

use super::super::examples;
use super::{
    ID, LISTED_MOVIES, MOVIE, MOVIES, NEW_MOVIES, Named, PATCH, REPLACEMENT, WRITTEN_MOVIES, any_of,
    array_of, reference, text,
};
use crate::domain::{
    DirectorName, GenreName, ImdbId, MAX_DIRECTORS, MAX_GENRES, Popularity, Rating, RuntimeMinutes, Title,
    Votes, Year,
};

const NEW_MOVIE: &str = "NewMovie";
const SPELT_MOVIE: &str = "MovieInAnySpelling";
const MOVIE_CHANGE: &str = "MovieChange";
const SPELT_WHOLE_MOVIE: &str = "WholeMovieInAnySpelling";
const SPELT_CHANGE: &str = "MovieChangeInAnySpelling";
const SELECTED_MOVIE: &str = "SelectedMovie";
const WHOLE_MOVIE: &str = "WholeMovie";

pub(super) fn all() -> Vec<Named> {
    vec![
        (ID, id().description(Some("Given by marquee; never given again after a delete.")).into()),
        (MOVIE, movie().into()),
        (MOVIES, array_of(MOVIE).into()),
        (
            SELECTED_MOVIE,
            members(object("The members of a movie that `fields` names.")).min_properties(Some(1)).into(),
        ),
        (
            LISTED_MOVIES,
            any_of([reference(MOVIES).into(), array_of(SELECTED_MOVIE).into()])
                .description(Some("Movies, or of each the members that `fields` names."))
                .into(),
        ),
        (
            WRITTEN_MOVIES,
            any_of([reference(MOVIE).into(), reference(MOVIES).into()])
                .description(Some("The movie, or as many as were sent."))
                .into(),
        ),
        (
            NEW_MOVIE,
            ours(object("A movie to be made. Members that are not named here are refused."))
                .required("title")
                .examples([examples::new_movie()])
                .into(),
        ),
        (
            SPELT_MOVIE,
            in_any_spelling(object("A movie to be made, in any spelling."), true)
                .examples([examples::imdb_movie()])
                .into(),
        ),
        (
            NEW_MOVIES,
            any_of([
                reference(NEW_MOVIE).into(),
                reference(SPELT_MOVIE).into(),
                ArrayBuilder::new()
                    .items(RefOr::from(any_of([reference(NEW_MOVIE).into(), reference(SPELT_MOVIE).into()])))
                    .description(Some("At most `MARQUEE_ARRAY_LIMIT` (10000)."))
                    .into(),
            ])
            .description(Some("One movie, or several: in one transaction, all or nothing."))
            .into(),
        ),
        (
            WHOLE_MOVIE,
            given(ours(object("A movie as a whole: members that are left out become empty.")))
                .required("title")
                .examples([examples::new_movie()])
                .into(),
        ),
        (
            SPELT_WHOLE_MOVIE,
            given(in_any_spelling(object("A movie as a whole, in any spelling."), true))
                .examples([examples::imdb_movie()])
                .into(),
        ),
        (REPLACEMENT, any_of([reference(WHOLE_MOVIE).into(), reference(SPELT_WHOLE_MOVIE).into()]).into()),
        (
            MOVIE_CHANGE,
            given(ours(object("What is to change. `null` removes; members that are left out stay.")))
                .examples([examples::change()])
                .into(),
        ),
        (SPELT_CHANGE, given(in_any_spelling(object("What is to change, in any spelling."), false)).into()),
        (
            PATCH,
            any_of([reference(MOVIE_CHANGE).into(), reference(SPELT_CHANGE).into()])
                .description(Some("A merge patch (RFC 7396) of a movie."))
                .into(),
        ),
    ]
}

/// An object without other members.
fn object(description: &str) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some(description))
        .additional_properties(Some(nothing()))
}

/// What additional members may be.
fn nothing() -> utoipa::openapi::schema::AdditionalProperties<Schema> {
    utoipa::openapi::schema::AdditionalProperties::FreeForm(false)
}

fn movie() -> ObjectBuilder {
    let object = members(object("A movie. All members are always there.")).examples([examples::movie()]);
    MEMBERS.iter().fold(object, |object, member| object.required(*member))
}

/// What a movie is told to have.
fn members(object: ObjectBuilder) -> ObjectBuilder {
    object
        .property("id", reference(ID))
        .property("imdb_id", imdb_id())
        .property("title", told(Title::MAX).description(Some("The title.")))
        .property("year", year())
        .property("runtime_minutes", runtime_minutes())
        .property("directors", names(told(DirectorName::MAX), MAX_DIRECTORS))
        .property("genres", names(told(GenreName::MAX), MAX_GENRES))
        .property("rating", rating())
        .property("votes", votes())
        .property("popularity", popularity())
        .property("version", version())
        .property("created_at", time("When it was created, to the second."))
        .property("updated_at", time("When it was last changed, to the second."))
}

/// What a movie always has.
pub(in crate::http::openapi) const MEMBERS: [&str; 13] = [
    "id",
    "imdb_id",
    "title",
    "year",
    "runtime_minutes",
    "directors",
    "genres",
    "rating",
    "votes",
    "popularity",
    "version",
    "created_at",
    "updated_at",
];

/// The members that a client gives.
fn ours(object: ObjectBuilder) -> ObjectBuilder {
    object
        .property("imdb_id", imdb_id())
        .property("title", sent(Title::MAX))
        .property("year", year())
        .property("runtime_minutes", runtime_minutes())
        .property("directors", directors())
        .property("genres", genres())
        .property("rating", rating())
        .property("votes", votes())
        .property("popularity", popularity())
}

/// Members of which one is another spelling of the other: that of the well-known `imdb.json` data set.
const SPELLINGS: [(&str, &str); 5] = [
    ("title", "name"),
    ("directors", "director"),
    ("genres", "genre"),
    ("rating", "imdb_score"),
    ("popularity", "99popularity"),
];

/// The members that a client gives, under all their names, nothing said twice.
fn in_any_spelling(object: ObjectBuilder, whole: bool) -> ObjectBuilder {
    let both = SPELLINGS.map(|(ours, theirs)| json!({ "not": { "required": [ours, theirs] } }));
    let titled = json!({ "anyOf": [{ "required": ["title"] }, { "required": ["name"] }] });
    let rules: Vec<Value> = both.into_iter().chain(whole.then_some(titled)).collect();
    ours(object)
        .property("name", sent(Title::MAX))
        .property("director", directors())
        .property("genre", genres())
        .property("imdb_score", rating())
        .property("99popularity", popularity())
        .extensions(Some(Extensions::from_iter([("allOf", Value::Array(rules))])))
}

/// The members that marquee gives. A client may send back what it was told.
fn given(object: ObjectBuilder) -> ObjectBuilder {
    let back = "may be sent back as it was told, and changes nothing";
    object
        .property("id", id().read_only(true).description(Some(format!("It {back}; another is a 422."))))
        .property(
            "version",
            version().read_only(true).description(Some(format!("It {back}; another is a 412."))),
        )
        .property("created_at", time(&format!("It {back}; another is a 422.")).read_only(true))
        .property("updated_at", time(&format!("It {back}; another is a 422.")).read_only(true))
}

fn id() -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
        .minimum(Some(1))
}

fn version() -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(1))
        .description(Some("Starts at 1 and grows by one with each change of this movie."))
}

fn time(description: &str) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
        .description(Some(description))
}

/// A name as it is told.
pub(super) fn told(max: usize) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .min_length(Some(1))
        .max_length(Some(max))
        .pattern(Some(text::trimmed()))
}

/// A name as it is sent. How long it may be is in the pattern, since blanks around it do not count.
pub(in crate::http::openapi) fn sent(max: usize) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).pattern(Some(text::to_be_trimmed(max))).description(Some(
        format!("1 to {max} characters, without the blanks around them, which are taken off."),
    ))
}

fn imdb_id() -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(or_null(Type::String))
        .pattern(Some(text::imdb_id(&ImdbId::DIGITS)))
        .description(Some("IMDb's id for it. Unique in the collection."))
}

fn names(one: ObjectBuilder, max: usize) -> Array {
    ArrayBuilder::new()
        .items(one)
        .max_items(Some(max))
        .description(Some("In their order. One that is not known yet is made; the first spelling stays."))
        .build()
}

fn directors() -> RefOr<Schema> {
    or_one(DirectorName::MAX, MAX_DIRECTORS)
}

fn genres() -> RefOr<Schema> {
    or_one(GenreName::MAX, MAX_GENRES)
}

/// A list; a single name stands for a list of it, and `null` for none.
fn or_one(longest: usize, most: usize) -> RefOr<Schema> {
    let null = ObjectBuilder::new().schema_type(Type::Null);
    any_of([names(sent(longest), most).into(), sent(longest).into(), null.into()]).into()
}

fn year() -> ObjectBuilder {
    whole(Year::BOUNDS).description(Some("The year in which it came out."))
}

fn runtime_minutes() -> ObjectBuilder {
    whole(RuntimeMinutes::BOUNDS).description(Some("How long it runs, in minutes."))
}

fn votes() -> ObjectBuilder {
    whole(Votes::BOUNDS).description(Some("How many votes the rating rests on."))
}

fn rating() -> ObjectBuilder {
    decimal(Rating::BOUNDS).description(Some("Its rating, as IMDb gives it."))
}

fn popularity() -> ObjectBuilder {
    decimal(Popularity::BOUNDS).description(Some("Its popularity, in per cent."))
}

fn whole(bounds: (f64, f64)) -> ObjectBuilder {
    number(Type::Integer, KnownFormat::Int32, bounds)
}

fn decimal(bounds: (f64, f64)) -> ObjectBuilder {
    number(Type::Number, KnownFormat::Double, bounds)
}

fn number(kind: Type, format: KnownFormat, (min, max): (f64, f64)) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(or_null(kind))
        .format(Some(SchemaFormat::KnownFormat(format)))
        .minimum(Some(min))
        .maximum(Some(max))
}

fn or_null(kind: Type) -> SchemaType {
    SchemaType::from_iter([kind, Type::Null])
}
