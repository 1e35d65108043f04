//! Images: uploads are resized, re-encoded and stripped of metadata.

use std::{io::Cursor, num::NonZero, sync::LazyLock, thread::available_parallelism, time::Duration};

use axum::body::Bytes;
use guildhall_kernel::{Error, Gate, GateLimits, Result, UserId, background};
use image::{
    DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, codecs::jpeg::JpegEncoder,
    imageops::FilterType, metadata::Orientation,
};

use crate::content::Content;

/// The longest side of an uploaded image, in pixels.
const MAX_SIDE: u32 = 12_000;
/// The most pixels of an uploaded image.
const MAX_PIXELS: u64 = 40_000_000;
/// The most memory for decoding an image, in bytes.
const MAX_MEMORY: u64 = 256 << 20;
/// Why an image is refused.
const DAMAGED: &str = "Upload a valid PNG, JPEG, WebP or GIF image.";
const TOO_LARGE: &str = "The image is larger than 12,000 × 12,000 pixels or 40 megapixels.";
/// The JPEG quality, in percent.
const QUALITY: u8 = 85;
/// Uses at most half of the cores, to leave the others to cheaper requests.
static GATE: LazyLock<Gate> = LazyLock::new(|| {
    let at_once = (available_parallelism().map_or(1, NonZero::get) / 2).max(1);
    Gate::new(GateLimits { at_once, queue: 32, per_person: 4, patience: Duration::from_secs(10) })
});

/// The size of a variant of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// The name of the variant: lower-case letters, digits and `-`.
    pub name: &'static str,
    /// In pixels, at least one.
    pub width: u32,
    /// In pixels, at least one.
    pub height: u32,
    /// How an image with another aspect ratio is fitted.
    pub fit: Fit,
}

/// How an image is fitted into a size with another aspect ratio.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// Fills the size exactly; the overlapping sides are cropped.
    Cover,
    /// Keeps the aspect ratio within the size; never enlarges.
    Within,
}

/// Creates variants of an uploaded image: PNG, JPEG, WebP or the first frame of a GIF, detected by content. Variants
/// are JPEG files, or PNG files if the image has transparency; they are rotated upright and contain no metadata
/// (location, camera, owner).
///
/// 400 with this field of the form for other files and for damaged or too large images; 503 if too many are being
/// processed.
pub async fn pictures(user: UserId, field: &'static str, bytes: Bytes, sizes: &'static [Size]) -> Result<Content> {
    let permit = GATE.enter(Some(user)).await?;
    let work = background::run_blocking(async move {
        // Held until the work ends, even if the caller is dropped.
        let _permit = permit;
        convert(field, &bytes, sizes)
    });
    work.await.unwrap_or_else(|error| {
        tracing::error!(%error, "the image decoder failed");
        Err(Error::field(field, DAMAGED))
    })
}

fn convert(field: &'static str, bytes: &[u8], sizes: &[Size]) -> Result<Content> {
    let picture = normalized(decode(bytes).map_err(|refusal| Error::field(field, refusal))?);
    let content_type = if picture.has_alpha() { "image/png" } else { "image/jpeg" };
    let (mut variants, mut dimensions) = (Vec::new(), Vec::new());
    for size in sizes {
        let variant = fitted(&picture, *size);
        variants.push((size.name, encode(&variant)?));
        dimensions.push((size.name, variant.width(), variant.height()));
    }
    Ok(Content { dimensions, ..Content::variants(content_type, variants) })
}

/// Decodes an image and rotates it upright. The dimensions are checked first: a file of a few bytes can claim a size
/// larger than the memory. The error says why it is refused.
fn decode(bytes: &[u8]) -> Result<DynamicImage, &'static str> {
    let decode_error = |error: ImageError| if matches!(error, ImageError::Limits(_)) { TOO_LARGE } else { DAMAGED };
    let format = image::guess_format(bytes).map_err(|_| DAMAGED)?;
    let supported = [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP, ImageFormat::Gif];
    if !supported.contains(&format) || (format == ImageFormat::Jpeg && !is_complete_jpeg(bytes)) {
        return Err(DAMAGED);
    }
    let mut limits = Limits::no_limits();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_MEMORY);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(decode_error)?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > MAX_PIXELS || decoder.total_bytes() > MAX_MEMORY {
        return Err(TOO_LARGE);
    }
    if width == 0 || height == 0 {
        return Err(DAMAGED);
    }
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut picture = DynamicImage::from_decoder(decoder).map_err(decode_error)?;
    picture.apply_orientation(orientation);
    Ok(picture)
}

/// Whether a JPEG file has an end marker. The decoder does not report missing data.
fn is_complete_jpeg(file: &[u8]) -> bool {
    // The second byte of a marker: not escaped data (0), not padding, not a marker without a length.
    let begins_segment = |byte: u8| !matches!(byte, 0x00 | 0x01 | 0xD0..=0xD8 | 0xFF);
    let mut rest = file;
    loop {
        let marker = rest.windows(2).position(|pair| pair[0] == 0xFF && begins_segment(pair[1]));
        let Some(segment) = marker.and_then(|index| rest.get(index + 1..)) else { return false };
        match segment {
            [0xD9, ..] => return true,
            [_, high, low, ..] => {
                let length = usize::from(u16::from_be_bytes([*high, *low]));
                rest = segment.get(1 + length..).unwrap_or_default();
            }
            _ => return false,
        }
    }
}

/// Converts to eight bits per channel, with an alpha channel only if some pixels are transparent.
fn normalized(picture: DynamicImage) -> DynamicImage {
    if picture.has_alpha() {
        let pixels = picture.into_rgba8();
        let is_opaque = pixels.pixels().all(|pixel| pixel.0[3] == u8::MAX);
        let picture = DynamicImage::ImageRgba8(pixels);
        return if is_opaque { DynamicImage::ImageRgb8(picture.into_rgb8()) } else { picture };
    }
    DynamicImage::ImageRgb8(picture.into_rgb8())
}

fn fitted(picture: &DynamicImage, size: Size) -> DynamicImage {
    let (width, height) = (picture.width(), picture.height());
    let is_wider = u64::from(width) * u64::from(size.height) > u64::from(height) * u64::from(size.width);
    match size.fit {
        Fit::Within if width <= size.width && height <= size.height => picture.clone(),
        Fit::Within if is_wider => scaled(picture, size.width, ratio(height, size.width, width)),
        Fit::Within => scaled(picture, ratio(width, size.height, height), size.height),
        Fit::Cover => {
            // Cropped before it is scaled: otherwise an image with a single row would grow to millions of pixels.
            let (crop_width, crop_height) = if is_wider {
                (ratio(height, size.width, size.height).min(width), height)
            } else {
                (width, ratio(width, size.height, size.width).min(height))
            };
            let (left, top) = ((width - crop_width) / 2, (height - crop_height) / 2);
            scaled(&picture.crop_imm(left, top, crop_width, crop_height), size.width, size.height)
        }
    }
}

/// `length * numerator / denominator`, rounded, and at least one.
fn ratio(length: u32, numerator: u32, denominator: u32) -> u32 {
    let denominator = u64::from(denominator.max(1));
    let result = (u64::from(length) * u64::from(numerator) + denominator / 2) / denominator;
    u32::try_from(result).unwrap_or(u32::MAX).max(1)
}

fn scaled(picture: &DynamicImage, width: u32, height: u32) -> DynamicImage {
    let (double_width, double_height) = (width.saturating_mul(2), height.saturating_mul(2));
    if picture.width() / 2 > double_width && picture.height() / 2 > double_height {
        // A fast pre-scaling to twice the size, without a visible loss of quality.
        let thumbnail = picture.thumbnail_exact(double_width, double_height);
        return thumbnail.resize_exact(width, height, FilterType::CatmullRom);
    }
    picture.resize_exact(width, height, FilterType::CatmullRom)
}

fn encode(picture: &DynamicImage) -> Result<Bytes> {
    let mut file = Cursor::new(Vec::new());
    let written = if picture.has_alpha() {
        picture.write_to(&mut file, ImageFormat::Png)
    } else {
        picture.write_with_encoder(JpegEncoder::new_with_quality(&mut file, QUALITY))
    };
    written.map_err(Error::internal)?;
    Ok(file.into_inner().into())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use image::{ImageEncoder, Rgb, RgbImage, Rgba, RgbaImage};

    use super::*;

    /// A new user each time, because of the limit per user.
    fn new_user() -> UserId {
        static NEXT: AtomicI64 = AtomicI64::new(1);
        UserId(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    const SIZES: &[Size] = &[
        Size { name: "small", width: 64, height: 64, fit: Fit::Cover },
        Size { name: "large", width: 300, height: 200, fit: Fit::Within },
        Size { name: "wide", width: 120, height: 30, fit: Fit::Cover },
    ];

    /// An image without repeated parts.
    fn pattern(width: u32, height: u32) -> DynamicImage {
        let shade = |n: u32| u8::try_from(n % 256).unwrap();
        let pixel = |x: u32, y: u32| Rgb([shade(x * 7 + y * 13), shade(x * y), shade((x * 31) ^ (y * 17))]);
        DynamicImage::ImageRgb8(RgbImage::from_fn(width, height, pixel))
    }

    fn file(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut file = Cursor::new(Vec::new());
        picture.write_to(&mut file, format).unwrap();
        file.into_inner()
    }

    async fn rejection(bytes: impl Into<Bytes>) -> String {
        let error = pictures(new_user(), "image", bytes.into(), SIZES).await.unwrap_err();
        assert_eq!(error.code(), "invalid");
        error.fields()["image"].concat()
    }

    fn dimensions(content: &Content) -> Vec<(&'static str, u32, u32)> {
        let read = |bytes: &Bytes| image::load_from_memory(bytes).unwrap();
        let size = |(name, bytes): &(&'static str, Bytes)| (*name, read(bytes).width(), read(bytes).height());
        content.objects.iter().map(size).collect()
    }

    #[tokio::test]
    async fn every_supported_format_is_converted_to_all_sizes() {
        for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP, ImageFormat::Gif] {
            let content = pictures(new_user(), "image", file(&pattern(600, 100), format).into(), SIZES).await.unwrap();
            assert_eq!(content.media_type, "image/jpeg", "{format:?}");
            assert_eq!(dimensions(&content), [("small", 64, 64), ("large", 300, 50), ("wide", 120, 30)], "{format:?}");
            assert_eq!(content.dimensions("large"), Some((300, 50)));
        }
    }

    #[tokio::test]
    async fn an_image_of_one_pixel_is_converted() {
        let content =
            pictures(new_user(), "image", file(&pattern(1, 1), ImageFormat::Gif).into(), SIZES).await.unwrap();
        assert_eq!(dimensions(&content), [("small", 64, 64), ("large", 1, 1), ("wide", 120, 30)]);
    }

    #[tokio::test]
    async fn an_image_of_one_row_is_cropped_before_it_is_scaled() {
        let content =
            pictures(new_user(), "image", file(&pattern(12_000, 1), ImageFormat::Png).into(), SIZES).await.unwrap();
        assert_eq!(dimensions(&content), [("small", 64, 64), ("large", 300, 1), ("wide", 120, 30)]);
    }

    #[tokio::test]
    async fn transparency_is_preserved() {
        let transparent = RgbaImage::from_pixel(200, 200, Rgba([200, 10, 10, 128]));
        let content =
            pictures(new_user(), "image", file(&DynamicImage::ImageRgba8(transparent), ImageFormat::Png).into(), SIZES)
                .await
                .unwrap();
        assert_eq!(content.media_type, "image/png");
        let small = image::load_from_memory(&content.objects[0].1).unwrap().into_rgba8();
        assert_eq!(small.get_pixel(32, 32).0[3], 128);
        let opaque = RgbaImage::from_pixel(200, 200, Rgba([200, 10, 10, 255]));
        let content =
            pictures(new_user(), "image", file(&DynamicImage::ImageRgba8(opaque), ImageFormat::Png).into(), SIZES)
                .await
                .unwrap();
        assert_eq!(content.media_type, "image/jpeg");
    }

    #[tokio::test]
    async fn a_photo_is_rotated_upright_and_stripped_of_metadata() {
        // TIFF, little-endian: one entry, the orientation (274) with the value 6: the left side is the top.
        let mut exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0".to_vec();
        exif.extend_from_slice(b"a secret place");
        let mut picture = RgbImage::from_pixel(40, 20, Rgb([0, 0, 250]));
        for y in 0..20 {
            for x in 0..20 {
                picture.put_pixel(x, y, Rgb([250, 0, 0]));
            }
        }
        let mut bytes = Vec::new();
        let mut encoder = JpegEncoder::new_with_quality(&mut bytes, 95);
        encoder.set_exif_metadata(exif).unwrap();
        DynamicImage::ImageRgb8(picture).write_with_encoder(encoder).unwrap();
        let contains = |bytes: &[u8], text: &[u8]| bytes.windows(text.len()).any(|part| part == text);
        assert!(contains(&bytes, b"a secret place") && contains(&bytes, b"Exif"));

        let content = pictures(new_user(), "image", bytes.into(), SIZES).await.unwrap();
        assert_eq!(dimensions(&content)[1], ("large", 20, 40));
        for (name, bytes) in &content.objects {
            assert!(!contains(bytes, b"a secret place") && !contains(bytes, b"Exif"), "{name}");
        }
        let large = image::load_from_memory(&content.objects[1].1).unwrap().into_rgb8();
        let (top, bottom) = (large.get_pixel(10, 5).0, large.get_pixel(10, 35).0);
        assert!(top[0] > 200 && bottom[2] > 200, "the left side is the top: {top:?} {bottom:?}");
    }

    #[tokio::test]
    async fn other_files_are_refused() {
        for bytes in [
            &b""[..],
            b"hello, I am a picture.png",
            b"<svg xmlns='http://www.w3.org/2000/svg'/>",
            b"BM",
            b"\xFF\xD8\xFF",
        ] {
            assert!(rejection(bytes).await.contains("a valid PNG"), "{bytes:?}");
        }
    }

    #[tokio::test]
    async fn truncated_files_are_refused() {
        for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP, ImageFormat::Gif] {
            let complete = file(&pattern(200, 150), format);
            for length in [complete.len() / 2, complete.len() / 4, 20] {
                let message = rejection(complete[..length].to_vec()).await;
                assert!(message.contains("a valid PNG"), "{format:?} {length}: {message}");
            }
        }
    }

    /// A PNG file with these dimensions in its header and almost no data.
    fn bomb(width: u32, height: u32) -> Vec<u8> {
        let crc = |bytes: &[u8]| {
            let bit = |crc: u32| (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg());
            !bytes.iter().fold(!0_u32, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| bit(crc)))
        };
        let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
        let head = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 6, 0, 0, 0]].concat();
        for (kind, content) in [(b"IHDR", head), (b"IDAT", vec![0x78, 0x9C, 0, 0])] {
            let chunk = [&kind[..], &content].concat();
            file.extend_from_slice(&u32::try_from(content.len()).unwrap().to_be_bytes());
            file.extend_from_slice(&chunk);
            file.extend_from_slice(&crc(&chunk).to_be_bytes());
        }
        file
    }

    #[tokio::test]
    async fn an_image_that_is_too_large_is_refused_by_its_header() {
        for (width, height) in [(60_000, 60_000), (12_001, 1), (8_000, 8_000), (u32::MAX >> 1, u32::MAX >> 1)] {
            assert!(rejection(bomb(width, height)).await.contains("megapixels"), "{width} × {height}");
        }
        assert!(
            rejection(bomb(100, 100)).await.contains("a valid PNG"),
            "the size is allowed, but the data is missing"
        );
    }

    #[test]
    fn sides_are_rounded_and_at_least_one() {
        assert_eq!([ratio(100, 1, 3), ratio(200, 1, 3), ratio(1, 1, 1000), ratio(3, 2, 0)], [33, 67, 1, 6]);
        let large = fitted(&pattern(1000, 999), SIZES[1]);
        assert_eq!((large.width(), large.height()), (200, 200));
    }
}
