use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

pub async fn run(base: &str, token: &str) -> Result<(), Box<dyn std::error::Error>> {
    let client = Client::new();
    let call = |method: Method, path: &str| -> RequestBuilder {
        client.request(method, format!("{base}{path}")).bearer_auth(token)
    };

    // List, and ask again: 304 as long as nothing changed
    let all = call(Method::GET, "/v1/movies").send().await?;
    let again =
        call(Method::GET, "/v1/movies").header("If-None-Match", &all.headers()["ETag"]).send().await?;
    println!("{} {}", all.json::<Vec<Value>>().await?.len(), again.status());

    // Create: under one key it is done once, however often it is sent
    let movie =
        json!({ "title": "The Wizard of Oz", "year": 1939, "genres": ["Fantasy", "Musical"], "votes": 1 });
    let key = format!("{:032x}", rand::random::<u128>());
    let created = call(Method::POST, "/v1/movies").header("Idempotency-Key", key).json(&movie).send().await?;
    let path = created.headers()["Location"].to_str()?;

    // Change, unless somebody else did meanwhile (412): then read it again and decide anew
    let changed = loop {
        let current = call(Method::GET, path).send().await?.error_for_status()?;
        let tag = current.headers()["ETag"].clone();
        let votes = current.json::<Value>().await?["votes"].as_u64().unwrap_or(0);
        let change = call(Method::PATCH, path).header("If-Match", tag).json(&json!({ "votes": votes + 1 }));
        let answer = change.send().await?;
        if answer.status() != StatusCode::PRECONDITION_FAILED {
            break answer.error_for_status()?;
        }
    };
    println!("{}", changed.json::<Value>().await?["votes"]);

    // Page by page, as Link leads on
    let mut next = Some("/v1/movies?genre=musical&sort=title&fields=id,title&limit=20".to_owned());
    while let Some(path) = next {
        let page = call(Method::GET, &path).send().await?.error_for_status()?;
        let links = page.headers()["Link"].to_str()?.to_owned();
        for movie in page.json::<Vec<Value>>().await? {
            println!("{}", movie["title"]);
        }
        let following = links.split(", ").find(|link| link.ends_with("rel=\"next\""));
        next = following.and_then(|link| Some(link.strip_prefix('<')?.split_once('>')?.0.to_owned()));
    }
    Ok(())
}
