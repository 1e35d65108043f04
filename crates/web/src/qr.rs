//! QR codes.

use std::fmt::Write;

use qrcodegen::{QrCode, QrCodeEcc};

use crate::html::{Html, escape};

/// The blank modules around a code (ISO/IEC 18004).
const BORDER: i32 = 4;

/// A text as a QR code, black on white in every theme because cameras expect that. Empty if the text is too long.
pub(crate) fn qr_code(text: &str, label: &str) -> Html {
    let Ok(code) = QrCode::encode_text(text, QrCodeEcc::Medium) else { return Html::default() };
    let size = code.size() + 2 * BORDER;
    let mut path = String::new();
    for y in 0..code.size() {
        for x in (0..code.size()).filter(|x| code.get_module(*x, y)) {
            let _ = write!(path, "M{},{}h1v1h-1z", x + BORDER, y + BORDER);
        }
    }
    let label = escape(label);
    Html::new(format!(
        "<svg class=\"qr\" viewBox=\"0 0 {size} {size}\" width=\"208\" height=\"208\" role=\"img\" \
         aria-label=\"{label}\"><rect width=\"{size}\" height=\"{size}\" fill=\"#fff\"/><path d=\"{path}\" \
         fill=\"#000\"/></svg>"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_drawn_without_styles() {
        let svg = qr_code("otpauth://totp/Guild:anna?secret=ABC", "QR \"code\"").to_string();
        assert!(svg.starts_with("<svg") && svg.contains("QR &quot;code&quot;") && !svg.contains("style"), "{svg}");
        assert_eq!(qr_code(&"x".repeat(5000), "too long"), Html::default());
    }
}
