//! Tests of rendering.

mod samples;

use samples::{ATTACKS, PIECES};

use super::{
    parser::MAX_COLUMNS,
    references::{MAX_LINKS, MAX_MENTIONS},
    rendering::MAX_DEPTH,
    *,
};

const REL: &str = "rel=\"nofollow noopener noreferrer ugc\"";

fn link(url: &str, text: &str) -> String {
    format!("<a href=\"{url}\" {REL}>{text}</a>")
}

/// Asserts that all tags and attributes are allowed.
fn assert_safe(html: &str) {
    for tag in html.split('<').skip(1) {
        let (tag, _) = tag.split_once('>').unwrap();
        let is_allowed = match tag.split_once(' ') {
            None => TAGS.contains(&tag.strip_prefix('/').unwrap_or(tag)),
            Some(("a", attributes)) => is_safe_link(attributes),
            Some(("code", attributes)) => {
                let word =
                    attributes.strip_prefix("class=\"language-").and_then(|attributes| attributes.strip_suffix('"'));
                word.is_some_and(|word| word.chars().all(is_language_char))
            }
            Some(("ol", attributes)) => {
                let number = attributes.strip_prefix("start=\"").and_then(|attributes| attributes.strip_suffix('"'));
                number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
            }
            Some(_) => false,
        };
        assert!(is_allowed, "<{tag}> in {html}");
    }
    assert_eq!(SANITIZER.clean(html).to_string(), html);
}

fn is_safe_link(attributes: &str) -> bool {
    let url = attributes.strip_prefix("href=\"").and_then(|attributes| attributes.strip_suffix(&format!("\" {REL}")));
    url.is_some_and(|url| {
        let schemes = ["http://", "https://", "mailto:"];
        schemes.iter().any(|scheme| url.starts_with(scheme)) && !url.contains('"')
    })
}

#[test]
fn markdown_is_rendered() {
    for (text, html) in [
        ("", ""),
        ("Hello *you*\nand **all**", "<p>Hello <em>you</em><br>\nand <strong>all</strong></p>"),
        ("~~gone~~", "<p><del>gone</del></p>"),
        ("# One\n\n## Two", "<h2>One</h2>\n<h2>Two</h2>"),
        ("3. three\n4. four", "<ol start=\"3\">\n<li>three</li>\n<li>four</li>\n</ol>"),
        ("- [x] done\n- [ ] open", "<ul>\n<li>☑ done</li>\n<li>☐ open</li>\n</ul>"),
        ("> said", "<blockquote>\n<p>said</p>\n</blockquote>"),
        ("`a < b`", "<p><code>a &lt; b</code></p>"),
        ("```rust,ignore\nlet a = 1 < 2;\n```", "<pre><code class=\"language-rust\">let a = 1 &lt; 2;\n</code></pre>"),
        (
            "| a | b |\n|---|:-:|\n| 1 | 2 |",
            "<table><thead><tr><th>a</th><th>b</th></tr></thead>\
             <tbody>\n<tr><td>1</td><td>2</td></tr>\n</tbody></table>",
        ),
        ("hi @anna", "<p>hi @anna</p>"),
    ] {
        assert_eq!(render(text), html, "{text}");
        assert_safe(html);
    }
}

#[test]
fn html_is_rendered_as_text() {
    assert_eq!(render("a <b>c</b>"), "<p>a &lt;b&gt;c&lt;/b&gt;</p>");
    assert_eq!(render("<script>alert(1)</script>"), "<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>");
    assert_eq!(render("<div>\n*a*\n</div>\n\nb"), "<p>&lt;div&gt;<br>\n*a*<br>\n&lt;/div&gt;</p>\n<p>b</p>");
    assert_eq!(render("a <!-- c --> b"), "<p>a &lt;!-- c --&gt; b</p>");
}

#[test]
fn links_have_rel_attributes_and_no_titles() {
    let here = link("https://a.example/b?c=d&amp;e=f", "here");
    assert_eq!(render("[here](https://a.example/b?c=d&e=f \"title\")"), format!("<p>{here}</p>"));
    assert_eq!(render("[here][1]\n\n[1]: https://a.example/b?c=d&e=f"), format!("<p>{here}</p>"));
    let mail = link("mailto:anna@a.example", "anna@a.example");
    assert_eq!(render("<anna@a.example>"), format!("<p>{mail}</p>"));
    assert_eq!(
        render("[*x* `y`](http://[::1]/)"),
        format!("<p>{}</p>", link("http://[::1]/", "<em>x</em> <code>y</code>"))
    );
    assert_eq!(render("[](https://a.example)"), format!("<p>{}</p>", link("https://a.example/", "https://a.example/")));
    assert_eq!(render("[here](/inside) [there](#part) [x](//b.example)"), "<p>here there x</p>");
}

#[test]
fn an_image_is_rendered_as_a_link() {
    let cat = link("https://a.example/cat.png", "a cat");
    assert_eq!(render("![a cat](https://a.example/cat.png)"), format!("<p>{cat}</p>"));
    let bare = link("https://a.example/cat.png", "https://a.example/cat.png");
    assert_eq!(render("![](https://a.example/cat.png)"), format!("<p>{bare}</p>"));
    assert_eq!(
        render("[![a cat](https://a.example/cat.png)](https://b.example/)"),
        format!("<p>{}</p>", link("https://b.example/", "a cat"))
    );
    assert_eq!(render("![a](data:image/svg+xml,x)"), "<p>a</p>");
}

#[test]
fn bare_urls_become_links() {
    let anchor = |url: &str| link(url, url);
    for (text, html) in [
        ("see https://a.example/x.", format!("see {}.", anchor("https://a.example/x"))),
        ("(https://a.example/x)", format!("({})", anchor("https://a.example/x"))),
        ("https://a.example/x_(y).", format!("{}.", anchor("https://a.example/x_(y)"))),
        ("https://a.example/a_b_c?d=e!?", format!("{}!?", anchor("https://a.example/a_b_c?d=e"))),
        (
            "https://a.example/、https://b.example/",
            format!("{}、{}", anchor("https://a.example/"), anchor("https://b.example/")),
        ),
        ("HTTP://a.example", link("http://a.example/", "HTTP://a.example")),
        ("http://猫.example/é", link("http://xn--z7x.example/%C3%A9", "http://猫.example/é")),
        ("xhttp://a.example", "xhttp://a.example".to_owned()),
        ("http:// https://. ftp://a.example", "http:// https://. ftp://a.example".to_owned()),
        ("`http://a.example`", "<code>http://a.example</code>".to_owned()),
        ("[http://a.example/](http://b.example/)", link("http://b.example/", "http://a.example/")),
    ] {
        assert_eq!(render(text), format!("<p>{html}</p>"), "{text}");
    }
    assert_eq!(render("    http://a.example\n"), "<pre><code>http://a.example\n</code></pre>");
}

#[test]
fn attacks_are_neutralized() {
    for attack in ATTACKS {
        let html = render(attack);
        assert_safe(&html);
        let plain = html.to_lowercase();
        for unsafe_markup in
            ["<script", "<img", "<svg", "<iframe", "<a href=\"javascript", "<a href=\"data", "<a href=\"vbscript"]
        {
            assert!(!plain.contains(unsafe_markup), "{attack}: {html}");
        }
    }
}

#[test]
fn nesting_is_limited() {
    for (text, tag) in [
        (format!("{}x", "> ".repeat(5_000)), "<blockquote>"),
        (format!("{}x", "- ".repeat(5_000)), "<ul>"),
        (format!("{}x{}", "*".repeat(5_000), "*".repeat(5_000)), "<strong>"),
    ] {
        let html = render(&text);
        assert_safe(&html);
        assert_eq!(html.matches(tag).count(), MAX_DEPTH, "{tag}");
    }
    // Content that is nested too deeply is still shown, each item on its own line.
    let deep = format!("{}- one\n{}- two", "> ".repeat(MAX_DEPTH), "> ".repeat(MAX_DEPTH));
    assert!(render(&deep).contains("one<br>\ntwo"), "{}", render(&deep));
}

#[test]
fn short_texts_do_not_expand_to_long_pages() {
    let table = |columns: usize| {
        let rows = "a\n".repeat((10_000 - 4 * columns) / 2);
        format!("{}\n{}\n{rows}", "|a".repeat(columns), "|-".repeat(columns))
    };
    let link = format!("[a]: https://a.example/{}\n\n{}", "x".repeat(1_900), "[a] ".repeat(2_000));
    for text in [table(MAX_COLUMNS), table(MAX_COLUMNS + 1), table(1_500), link] {
        let html = render(&text);
        assert_safe(&html);
        assert!(html.len() < 25 * text.len(), "{} of {}", html.len(), text.len());
    }
    assert!(
        render("a|b|c\n-|-|-\n|1||3|\n|1||").contains("<tr><td>1</td><td></td><td>3</td></tr>\n<tr><td>1</td></tr>")
    );
}

#[test]
fn hostile_texts_are_rendered_in_linear_time() {
    for piece in [
        "[",
        "]",
        "[](",
        "![",
        "[a](",
        "[a]: b\n",
        "<",
        "<!--",
        "<![CDATA[",
        "<?",
        "</",
        "<a b=",
        "&",
        "&#",
        "`",
        "`a``",
        "~~",
        "_a ",
        "**a *",
        "*a_",
        "> ",
        "- ",
        "1. ",
        "> - ",
        "|",
        "|-",
        "http://",
        "http://%",
        "https://a)",
        "@",
        "@a",
        "a@",
        "\\",
        "\t",
        "\n",
        "\r\n",
        "#",
        "\u{301}",
    ] {
        let text = piece.repeat(10_000 / piece.len());
        assert_safe(&render(&text));
        let references = find_references(&text);
        assert!(references.mentions.len() <= MAX_MENTIONS && references.links.len() <= MAX_LINKS);
    }
}

#[test]
fn html_that_is_too_long_is_an_error_of_its_field() {
    let long = format!("[a]: http://x\n\n{}", "[a] ".repeat(12_000));
    let error = html_of("content", &long).unwrap_err();
    let Error::Kernel(kernel) = &error else { panic!("{error}") };
    assert!(format!("{kernel:?}").contains("content"), "{kernel:?}");
    let long = "\"\u{1f600}&".repeat(50_000 / 3);
    assert!(html_of("content", &long).unwrap().len() < MAX_HTML_LENGTH, "plain text of the maximum length is accepted");
}

proptest::proptest! {
    #[test]
    fn any_text_is_rendered_safely(text in "(?s).{0,200}") {
        assert_safe(&render(&text));
    }

    #[test]
    fn any_combination_of_pieces_is_rendered_safely(
        pieces in proptest::collection::vec(proptest::sample::select(PIECES.to_vec()), 0..40)
    ) {
        assert_safe(&render(&pieces.concat()));
    }
}

#[test]
fn fault_r26_emphasis_characters_in_names_are_kept() {
    for (text, html, mentioned) in [
        ("Hello @_anna_", "<p>Hello @_anna_</p>", "_anna_"),
        ("**@_anna_**!", "<p><strong>@_anna_</strong>!</p>", "_anna_"),
        ("*@anna_b_c* and", "<p><em>@anna_b_c</em> and</p>", "anna_b_c"),
        ("_@anna_", "<p><em>@anna</em></p>", "anna"),
        ("> @__x__", "<blockquote>\n<p>@__x__</p>\n</blockquote>", "__x__"),
    ] {
        assert_eq!(render(text), html, "{text}");
        assert_eq!(find_references(text).mentions, [mentioned], "{text}");
    }
    assert_eq!(render("`@_anna_`"), "<p><code>@_anna_</code></p>");
    assert!(find_references("`@_anna_`").mentions.is_empty());
}

#[test]
fn fault_r27_emphasis_characters_in_urls_are_kept() {
    for url in [
        "https://example.org/_foo_/bar",
        "https://example.org/*x*/y",
        "https://example.org/__init__/z",
        "https://example.org/~~a~~/b",
        "https://example.org/a_b_c",
    ] {
        let link = format!("<a href=\"{url}\" rel=\"nofollow noopener noreferrer ugc\">{url}</a>");
        assert_eq!(render(&format!("see {url}")), format!("<p>see {link}</p>"));
        assert_eq!(render(&format!("**see {url}**")), format!("<p><strong>see {link}</strong></p>"));
        assert_eq!(render(&format!("[{url}]({url})")), format!("<p>{link}</p>"));
        assert_eq!(render(&format!("<{url}>")), format!("<p>{link}</p>"));
        assert_eq!(render(&format!("`{url}`")), format!("<p><code>{url}</code></p>"));
        assert_eq!(find_references(&format!("see {url}")).links, [url]);
    }
    assert_eq!(render("    https://x.org/_a_/b"), "<pre><code>https://x.org/_a_/b</code></pre>");
    assert!(!render("<b>https://x.org/_a_/b</b> *y*").contains('\\'));
}
