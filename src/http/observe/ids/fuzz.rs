//! Ids and traces that clients bring.

use super::*;
use crate::fuzz::target;
use crate::http::fuzz::header;

/// An answer's id is fit for a log whatever was brought, and what is taken of a trace makes one of the same trace.
#[test]
fn request_ids() {
    target("request_ids", 10_000, |lines| {
        for name in [&X_REQUEST_ID, &TRACEPARENT] {
            let Some(headers) = header(name, lines) else { return };
            let id = request_id(&headers);
            assert!(is_sane(id.as_bytes()));
            if let Some(brought) = brought(&headers) {
                assert!(lines.windows(brought.len()).any(|part| part == brought.as_bytes()));
                assert_eq!(brought, id);
            }
            if let Some((trace_id, span)) = trace(&headers) {
                assert_eq!((trace_id.len(), span.len(), id.len()), (32, 16, 49));
                let anew = header(name, format!("00-{trace_id}-{span}-01").as_bytes()).unwrap();
                assert_eq!(trace(&anew), Some((trace_id, span)));
                assert_eq!(request_id(&anew), id);
            }
        }
    });
}
