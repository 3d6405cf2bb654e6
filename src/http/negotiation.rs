//! Which media type answers a GraphQL request.

use axum::http::{HeaderMap, HeaderValue, header};

/// The two media types of GraphQL over HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MediaType {
    /// `application/graphql-response+json`: the HTTP status tells whether the request was understood.
    GraphqlResponse,
    /// `application/json`: 200 whenever there is a GraphQL response; also the default.
    Json,
}

impl MediaType {
    pub(super) fn header(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::GraphqlResponse => "application/graphql-response+json; charset=utf-8",
            Self::Json => "application/json; charset=utf-8",
        })
    }

    /// The type the client likes best; none when it takes neither.
    pub(super) fn negotiate(headers: &HeaderMap) -> Option<Self> {
        let lines = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let ranges: Vec<&str> = lines.flat_map(|line| line.split(',')).map(str::trim).collect();
        if ranges.is_empty() {
            return Some(Self::Json);
        }
        let wanted = ranges.into_iter().filter_map(|range| {
            let (essence, parameters) = range.split_once(';').unwrap_or((range, ""));
            let media_type = match essence.trim().to_ascii_lowercase().as_str() {
                "application/graphql-response+json" => Self::GraphqlResponse,
                "application/json" | "application/*" | "*/*" => Self::Json,
                _ => return None,
            };
            Some((media_type, quality(parameters)))
        });
        // The first of the best: `max_by` would give the last.
        let best = wanted.filter(|(_, quality)| *quality > 0.0);
        best.fold(None, |best: Option<(Self, f32)>, next| match best {
            Some(best) if best.1 >= next.1 => Some(best),
            _ => Some(next),
        })
        .map(|(media_type, _)| media_type)
    }
}

/// Whether the client asks for an event stream by its name: what takes anything (a picture on a stranger's page) does not
/// wait for one.
pub(super) fn takes_event_stream(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|range| {
        let (essence, parameters) = range.split_once(';').unwrap_or((range, ""));
        essence.trim().eq_ignore_ascii_case("text/event-stream") && quality(parameters) > 0.0
    })
}

fn quality(parameters: &str) -> f32 {
    let q = parameters.split(';').find_map(|parameter| parameter.trim().strip_prefix("q="));
    q.map_or(1.0, |q| q.trim().parse().unwrap_or(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_gets_what_it_likes_best() {
        use MediaType as M;
        for (case, accept, want) in [
            ("nothing said", None, Some(M::Json)),
            ("anything", Some("*/*"), Some(M::Json)),
            ("the new type", Some("application/graphql-response+json"), Some(M::GraphqlResponse)),
            ("the old type", Some("application/json; charset=utf-8"), Some(M::Json)),
            ("both, new first", Some("application/graphql-response+json, application/json"), Some(M::GraphqlResponse)),
            ("both, old first", Some("application/json, application/graphql-response+json"), Some(M::Json)),
            (
                "both, new preferred",
                Some("application/json;q=0.5, application/graphql-response+json"),
                Some(M::GraphqlResponse),
            ),
            ("a browser", Some("text/html,application/xhtml+xml,*/*;q=0.8"), Some(M::Json)),
            ("neither", Some("text/html"), None),
            ("refused", Some("application/json;q=0"), None),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(accept) = accept {
                headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            }
            assert_eq!(M::negotiate(&headers), want, "{case}");
        }
    }
    #[test]
    fn an_event_stream_is_asked_for_by_its_name() {
        for (accept, want) in [
            (None, false),
            (Some("*/*"), false),
            (Some("text/event-stream"), true),
            (Some("application/json, Text/Event-Stream;q=0.4"), true),
            (Some("text/event-stream;q=0"), false),
        ] {
            let headers = accept.map(|accept| (header::ACCEPT, HeaderValue::from_static(accept)));
            assert_eq!(takes_event_stream(&headers.into_iter().collect()), want, "{accept:?}");
        }
    }
}
