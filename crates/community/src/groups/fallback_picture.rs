//! Generated pictures for groups without one: their initials on a coloured background. The URL contains everything that
//! is drawn, so the picture reveals nothing else.

use guildhall_kernel::PublicUrl;

use crate::id::GroupId;

/// The absolute URL of the generated picture.
pub(crate) fn url(mount: &PublicUrl, id: GroupId, name: &str) -> String {
    let words = name.split_whitespace();
    let initials: String = words.filter_map(|word| word.chars().find(|c| c.is_alphanumeric())).take(2).collect();
    // Upper case may bring combining marks along.
    let initials: String = initials.to_uppercase().chars().filter(|c| c.is_alphanumeric()).collect();
    let initials: String = form_urlencoded::byte_serialize(initials.as_bytes()).collect();
    // Consecutive ids get distant hues: 137 degrees is the golden angle.
    let hue = id.0.wrapping_mul(137).rem_euclid(360);
    mount.join(&format!("/pictures/{initials}-{hue}.svg"))
}

/// Draws the picture for the file name in a [`url`]; `None` for any other name.
pub(crate) fn draw(file: &str) -> Option<String> {
    let (initials, hue) = file.strip_suffix(".svg")?.rsplit_once('-')?;
    let hue: u16 = hue.parse().ok().filter(|hue| *hue < 360)?;
    // Upper case can be longer than the original: "ß" becomes "SS".
    if initials.chars().count() > 6 || !initials.chars().all(char::is_alphanumeric) {
        return None;
    }
    Some(format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 256 256" width="256" height="256">
<rect width="256" height="256" fill="hsl({hue}, 45%, 38%)"/>
<text x="128" y="128" dy="0.36em" text-anchor="middle" font-family="system-ui, sans-serif" font-size="104" font-weight="600" fill="#fff">{initials}</text>
</svg>
"##
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url_of(id: i64, name: &str) -> String {
        url(&"https://example.org/api/community".parse().unwrap(), GroupId(id), name)
    }

    #[test]
    fn every_name_gets_a_picture() {
        assert_eq!(url_of(1, "rust people of kent"), "https://example.org/api/community/pictures/RP-137.svg");
        for name in ["x", "???", "ßa ßb", "王 小明", "ﬃ ﬃ", "ǰ ΐ", "ẖ"] {
            let picture = url_of(i64::MAX, name);
            let file = picture.rsplit('/').next().unwrap();
            let decoded = form_urlencoded::parse(file.as_bytes()).next().unwrap().0.into_owned();
            assert!(draw(&decoded).is_some(), "{name}: {decoded}");
        }
    }

    #[test]
    fn invalid_file_names_are_rejected() {
        for file in ["", "A", "A-1", "A-360.svg", "A-x.svg", "<b>-1.svg", "ABCDEFG-1.svg", "../x-1.svg", "A\"-1.svg"] {
            assert_eq!(draw(file), None, "{file}");
        }
    }
}
