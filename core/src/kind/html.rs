//! HTML bodies: what is let through, and the plain text of them.

use std::collections::HashSet;

/// Lets through text with its structure and nothing that acts, loads or hides: no scripts, styles, forms, frames, and no
/// images, because a remote one would tell its server who read the mail and when. Links keep `https`, `mailto` and `tel`.
#[must_use]
pub fn sanitise_html(html: &str) -> String {
    ammonia::Builder::default()
        .rm_tags(["img", "map", "area"])
        .url_schemes(HashSet::from(["https", "mailto", "tel"]))
        .url_relative(ammonia::UrlRelative::Deny)
        .link_rel(Some("noopener noreferrer"))
        .strip_comments(true)
        .clean(html)
        .to_string()
}

/// The text of an HTML body, for readers without HTML: tags dropped, line breaks where blocks end.
#[must_use]
pub fn text_of_html(html: &str) -> String {
    let clean = sanitise_html(html);
    let mut text = String::with_capacity(clean.len());
    let mut rest = clean.as_str();
    while let Some((before, tag_on)) = rest.split_once('<') {
        text.push_str(before);
        let (tag, after) = tag_on.split_once('>').unwrap_or((tag_on, ""));
        let name: String = tag.trim_start_matches('/').chars().take_while(char::is_ascii_alphanumeric).collect();
        let breaks = ["br", "p", "div", "li", "tr", "h1", "h2", "h3", "h4", "h5", "h6", "pre", "blockquote"];
        let ends_block = tag.starts_with('/') || name == "br";
        if ends_block && breaks.contains(&name.as_str()) && !text.ends_with('\n') {
            text.push('\n');
        }
        rest = after;
    }
    text.push_str(rest);
    // The five that the sanitiser writes; everything else it leaves as it is.
    for (entity, letter) in [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&nbsp;", " "), ("&amp;", "&")] {
        text = text.replace(entity, letter);
    }
    text.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_or_loads_is_removed() {
        for hostile in [
            "<script>alert(1)</script>",
            "<img src=\"https://tracker.example/1.gif\">",
            "<p onclick=\"alert(1)\">",
            "<a href=\"javascript:alert(1)\">",
            "<iframe src=\"https://x.example\"></iframe>",
            "<style>p{background:url(https://x.example)}</style>",
            "<form action=\"https://x.example\"><input name=a></form>",
            "<svg><script>1</script></svg>",
            "<p style=\"background:url(https://x.example)\">",
        ] {
            let clean = sanitise_html(hostile);
            for part in ["script", "x.example", "tracker", "alert", "onclick", "style", "<img", "<form", "<iframe"] {
                assert!(!clean.contains(part), "{hostile} became {clean}");
            }
        }
        assert_eq!(sanitise_html("<p><b>ok</b></p>"), "<p><b>ok</b></p>");
    }

    #[test]
    fn the_text_of_a_body_keeps_its_lines() {
        assert_eq!(text_of_html("<p>One &amp; two</p><p>three<br>four</p>"), "One & two\nthree\nfour");
        assert_eq!(text_of_html("a &lt;b&gt;"), "a <b>");
    }
}
