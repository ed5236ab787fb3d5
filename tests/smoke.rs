use marquee::catalogue::*;
use marquee::domain::*;
use marquee::store::*;
use marquee::telemetry::Metrics;
use std::time::Duration;

fn options() -> Options {
    Options {
        cache_bytes: 1 << 28,
        spool_bytes: 1 << 30,
        mailbox: 4096,
        mailbox_bytes: 64 << 20,
        batch: BatchLimits { commands: 256, movies: 10000, bytes: 16 << 20, segments: 64, encoded: 200 },
        poll: Duration::from_millis(100),
        patience: Duration::from_secs(10),
        stale: None,
    }
}
async fn run(url: String) {
    let _ = env_logger::builder().is_test(false).try_init();
    let mut reg = prometheus_client::registry::Registry::default();
    let metrics = Metrics::registered(&mut reg);
    let store = Store::new(
        &StoreOptions { location: url.parse().unwrap(), pool_size: None, step: Duration::from_secs(10) },
        &metrics,
    )
    .unwrap();
    store.migrate().await.unwrap();
    store.unmigrate().await.unwrap();
    store.migrate().await.unwrap();
    println!("{:?}", store.prepare().await.unwrap());
    let (cat, _w) = Catalogue::new(store, &options(), &tokio::runtime::Handle::current(), &metrics);
    cat.refresh().await.unwrap();
    let f = cat.follow();
    let movies: Vec<NewMovie> = (0..3000).map(|i| movie_from_json(format!(r#"{{"title":"M {i}","genres":["G{}","Drama"],"directors":["D {}"],"rating":8.3,"imdb_id":"tt{:07}"}}"#, i%7, i%100, i).as_bytes()).unwrap()).collect();
    let t = std::time::Instant::now();
    let c = cat.create(movies.clone()).await.unwrap();
    println!("create 3000: {:?} {:?}", t.elapsed(), c.head.revision);
    assert_eq!(c.json.len(), 3000);
    let col = cat.collection(Form::Array, Coding::Identity).await.unwrap();
    assert_eq!(col.movies, 3000);
    let Body::Whole(b) = col.body else { panic!() };
    let v: Vec<serde_json::Value> = serde_json::from_slice(&b).unwrap();
    assert_eq!(v.len(), 3000);
    println!("{}", v[7]);
    println!("{:?}", cat.merge(movies.clone(), Parts::ALL).await);
    let mut ch = movies.clone();
    ch[5] = movie_from_json(
        br#"{"title":"New","genres":["drama","X Y"],"directors":["d 5"],"rating":8.3,"imdb_id":"tt0000005"}"#,
    )
    .unwrap();
    println!("{:?}", cat.merge(ch, Parts::ALL).await);
    println!("{:?}", cat.movie(6).await);
    println!("{:?}", cat.delete(6).await);
    println!("{:?}", cat.delete(6).await);
    println!("{:?}", cat.movie(6).await.unwrap_err());
    println!("{:?}", cat.genres().await.unwrap());
    let t = std::time::Instant::now();
    let mut js = Vec::new();
    for k in 0..64 {
        let cat = cat.clone();
        js.push(tokio::spawn(async move {
            for i in 0..30 {
                cat.create(vec![
                    movie_from_json(
                        format!(
                            r#"{{"title":"W {k} {i}","genres":["G{}","Drama"],"directors":["D {}"]}}"#,
                            i % 7,
                            i % 100
                        )
                        .as_bytes(),
                    )
                    .unwrap(),
                ])
                .await
                .unwrap();
            }
        }));
    }
    for j in js {
        j.await.unwrap();
    }
    println!("64x30 creates: {:?} -> {:.0}/s", t.elapsed(), 1920.0 / t.elapsed().as_secs_f64());
    assert_eq!(cat.current().unwrap().1, 2999 + 1920);
    f.abort();
}
#[tokio::test(flavor = "multi_thread")]
async fn sqlite() {
    let d = tempfile::tempdir().unwrap();
    run(format!("sqlite://{}/m.db", d.path().display())).await;
}
#[tokio::test(flavor = "multi_thread")]
async fn mysql() {
    run(std::env::var("MY").unwrap()).await;
}
#[tokio::test(flavor = "multi_thread")]
async fn mariadb() {
    run(std::env::var("MA").unwrap()).await;
}
