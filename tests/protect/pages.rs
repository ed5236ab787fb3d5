//! What browsers are told of answers that they show.

use crate::kit::{get, start};

proof_on! {
    /// What is for people may load nothing from elsewhere and stand in nobody's frame; a failure is taken for
    /// nothing but what it says it is. Hits go without.
    async fn what_is_shown_is_dressed(db) {
        let marquee = start(&db).await;
        let page = get(&marquee, "/problems/not-found").await.expect(200);
        let policy = page.header("content-security-policy");
        for part in ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"] {
            assert!(policy.contains(part), "{policy}");
        }
        assert!(!policy.contains("http") && !policy.contains('*') && !policy.contains("script-src 'self' 'unsafe"));
        assert_eq!(page.header("x-content-type-options"), "nosniff");
        assert_eq!(page.header("x-frame-options"), "DENY");
        assert_eq!(page.header("referrer-policy"), "no-referrer");
        assert_eq!(page.header("cross-origin-opener-policy"), "same-origin");
        let failure = get(&marquee, "/v1/movies/9").await;
        failure.problem(404, "not-found");
        assert_eq!(failure.header("x-content-type-options"), "nosniff");
        assert!(!get(&marquee, "/v1/movies").await.expect(200).has("x-content-type-options"));
    }
    sqlite: Sqlite
}
