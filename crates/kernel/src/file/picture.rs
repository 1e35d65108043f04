//! Pictures: whatever people upload becomes a few small ones with nothing in them but the picture.

use std::{io::Cursor, num::NonZero, sync::LazyLock, thread::available_parallelism, time::Duration};

use axum::body::Bytes;
use image::{
    DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, codecs::jpeg::JpegEncoder,
    imageops::FilterType, metadata::Orientation,
};

use super::Content;
use crate::{Error, Gate, GateLimits, Result, UserId, background};

/// The longest side taken, in pixels.
const LONGEST_SIDE: u32 = 12_000;
/// The most pixels taken.
const MOST_PIXELS: u64 = 40_000_000;
/// The most memory that one picture may fill while it is read, in bytes.
const MOST_MEMORY: u64 = 256 << 20;
/// Of the JPEG files that are made, in percent.
const QUALITY: u8 = 85;
/// Half the cores at a time: the others are for those who wait for less.
static GATE: LazyLock<Gate> = LazyLock::new(|| {
    let at_once = (available_parallelism().map_or(1, NonZero::get) / 2).max(1);
    Gate::new(GateLimits { at_once, queue: 32, per_person: 4, patience: Duration::from_secs(10) })
});

/// A size in which a picture is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// What the variant is called: lower-case letters, digits and `-`.
    pub name: &'static str,
    /// In pixels, at least one.
    pub width: u32,
    /// In pixels, at least one.
    pub height: u32,
    /// What becomes of a picture of another shape.
    pub fit: Fit,
}

/// What becomes of a picture that has not the shape that is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// It fills the size exactly; what hangs over on two sides is cut off.
    Cover,
    /// It keeps its shape, and is no larger than the size nor than it was.
    Within,
}

/// Makes the sizes that are wanted of a picture that somebody has uploaded: PNG, JPEG, WebP or the first
/// frame of a GIF, whatever it claims to be. They are JPEG files, or PNG files where something shows
/// through; turned the right way up, and without whatever else the upload held (place, camera, owner).
///
/// 400 about the field `image` for anything else, and for a picture that is damaged or too large; 503
/// where too many are at work.
pub async fn pictures(user: UserId, bytes: Bytes, wanted: &'static [Size]) -> Result<Content> {
    let turn = GATE.enter(Some(user)).await?;
    let work = background::run_blocking(async move {
        // For as long as the work takes, even if nobody waits for it any more.
        let _turn = turn;
        make(&bytes, wanted)
    });
    work.await.unwrap_or_else(|error| {
        tracing::error!(%error, "a picture could not be read at all");
        Err(damaged())
    })
}

fn damaged() -> Error {
    Error::field("image", "Upload a PNG, JPEG, WebP or GIF picture. The file is none, or it is damaged.")
}

fn too_large() -> Error {
    Error::field("image", "The picture is larger than 12,000 × 12,000 pixels or 40 megapixels.")
}

fn make(bytes: &[u8], wanted: &[Size]) -> Result<Content> {
    let picture = plain(decode(bytes)?);
    let content_type = if picture.has_alpha() { "image/png" } else { "image/jpeg" };
    let mut variants = Vec::new();
    for size in wanted {
        variants.push((size.name, encode(&shaped(&picture, *size))?));
    }
    Ok(Content::variants(content_type, variants))
}

/// Reads a picture, the right way up. How large it is comes first: a file of a few bytes can say that it
/// is larger than all memory.
fn decode(bytes: &[u8]) -> Result<DynamicImage> {
    let refused = |error: ImageError| if matches!(error, ImageError::Limits(_)) { too_large() } else { damaged() };
    let format = image::guess_format(bytes).map_err(|_| damaged())?;
    let known = [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP, ImageFormat::Gif];
    if !known.contains(&format) || (format == ImageFormat::Jpeg && !is_whole(bytes)) {
        return Err(damaged());
    }
    let mut limits = Limits::no_limits();
    limits.max_image_width = Some(LONGEST_SIDE);
    limits.max_image_height = Some(LONGEST_SIDE);
    limits.max_alloc = Some(MOST_MEMORY);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(refused)?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > MOST_PIXELS || decoder.total_bytes() > MOST_MEMORY {
        return Err(too_large());
    }
    if width == 0 || height == 0 {
        return Err(damaged());
    }
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut picture = DynamicImage::from_decoder(decoder).map_err(refused)?;
    picture.apply_orientation(orientation);
    Ok(picture)
}

/// Does a JPEG file go on to its end? The decoder paints over what is missing.
fn is_whole(file: &[u8]) -> bool {
    // After a marker's first byte: not data (0), nor filling, nor one of the markers without a length.
    let begins_segment = |byte: u8| !matches!(byte, 0x00 | 0x01 | 0xD0..=0xD8 | 0xFF);
    let mut rest = file;
    loop {
        let marker = rest.windows(2).position(|pair| pair[0] == 0xFF && begins_segment(pair[1]));
        let Some(segment) = marker.and_then(|at| rest.get(at + 1..)) else { return false };
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

/// Eight bits for each colour, and transparency only where something shows through.
fn plain(picture: DynamicImage) -> DynamicImage {
    if picture.has_alpha() {
        let pixels = picture.into_rgba8();
        let opaque = pixels.pixels().all(|pixel| pixel.0[3] == u8::MAX);
        let picture = DynamicImage::ImageRgba8(pixels);
        return if opaque { DynamicImage::ImageRgb8(picture.into_rgb8()) } else { picture };
    }
    DynamicImage::ImageRgb8(picture.into_rgb8())
}

fn shaped(picture: &DynamicImage, size: Size) -> DynamicImage {
    let (width, height) = (picture.width(), picture.height());
    let is_wider = u64::from(width) * u64::from(size.height) > u64::from(height) * u64::from(size.width);
    match size.fit {
        Fit::Within if width <= size.width && height <= size.height => picture.clone(),
        Fit::Within if is_wider => scaled(picture, size.width, part(height, size.width, width)),
        Fit::Within => scaled(picture, part(width, size.height, height), size.height),
        Fit::Cover => {
            // Cut before it is scaled: a picture of one row would else become one of many millions.
            let (cut_width, cut_height) = if is_wider {
                (part(height, size.width, size.height).min(width), height)
            } else {
                (width, part(width, size.height, size.width).min(height))
            };
            let (left, top) = ((width - cut_width) / 2, (height - cut_height) / 2);
            scaled(&picture.crop_imm(left, top, cut_width, cut_height), size.width, size.height)
        }
    }
}

/// `whole` times `over` by `under`, rounded, and at least one.
fn part(whole: u32, over: u32, under: u32) -> u32 {
    let under = u64::from(under.max(1));
    let part = (u64::from(whole) * u64::from(over) + under / 2) / under;
    u32::try_from(part).unwrap_or(u32::MAX).max(1)
}

fn scaled(picture: &DynamicImage, width: u32, height: u32) -> DynamicImage {
    let (double_width, double_height) = (width.saturating_mul(2), height.saturating_mul(2));
    if picture.width() / 2 > double_width && picture.height() / 2 > double_height {
        // The greater part of the way in one quick step, which nobody sees afterwards.
        let rough = picture.thumbnail_exact(double_width, double_height);
        return rough.resize_exact(width, height, FilterType::CatmullRom);
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
    use image::{ImageEncoder, Rgb, RgbImage, Rgba, RgbaImage};

    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;

    /// Somebody else each time: one person has few pictures in work.
    fn somebody() -> UserId {
        static NEXT: AtomicI64 = AtomicI64::new(1);
        UserId(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    const SIZES: &[Size] = &[
        Size { name: "small", width: 64, height: 64, fit: Fit::Cover },
        Size { name: "large", width: 300, height: 200, fit: Fit::Within },
        Size { name: "wide", width: 120, height: 30, fit: Fit::Cover },
    ];

    /// A picture in which no part is like another.
    fn colourful(width: u32, height: u32) -> DynamicImage {
        let shade = |n: u32| u8::try_from(n % 256).unwrap();
        let pixel = |x: u32, y: u32| Rgb([shade(x * 7 + y * 13), shade(x * y), shade((x * 31) ^ (y * 17))]);
        DynamicImage::ImageRgb8(RgbImage::from_fn(width, height, pixel))
    }

    fn file(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut file = Cursor::new(Vec::new());
        picture.write_to(&mut file, format).unwrap();
        file.into_inner()
    }

    async fn refusal(bytes: impl Into<Bytes>) -> String {
        let refused = pictures(somebody(), bytes.into(), SIZES).await.unwrap_err();
        assert_eq!(refused.code(), "invalid");
        refused.fields()["image"].concat()
    }

    fn dimensions(content: &Content) -> Vec<(&'static str, u32, u32)> {
        let read = |bytes: &Bytes| image::load_from_memory(bytes).unwrap();
        let one = |(name, bytes): &(&'static str, Bytes)| (*name, read(bytes).width(), read(bytes).height());
        content.objects.iter().map(one).collect()
    }

    #[tokio::test]
    async fn a_picture_of_every_kind_becomes_the_sizes_that_are_wanted() {
        for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP, ImageFormat::Gif] {
            let content = pictures(somebody(), file(&colourful(600, 100), format).into(), SIZES).await.unwrap();
            assert_eq!(content.content_type, "image/jpeg", "{format:?}");
            assert_eq!(dimensions(&content), [("small", 64, 64), ("large", 300, 50), ("wide", 120, 30)], "{format:?}");
        }
    }

    #[tokio::test]
    async fn one_pixel_is_enough_for_every_size() {
        let content = pictures(somebody(), file(&colourful(1, 1), ImageFormat::Gif).into(), SIZES).await.unwrap();
        assert_eq!(dimensions(&content), [("small", 64, 64), ("large", 1, 1), ("wide", 120, 30)]);
    }

    #[tokio::test]
    async fn a_picture_of_one_row_is_cut_before_it_grows() {
        let content = pictures(somebody(), file(&colourful(12_000, 1), ImageFormat::Png).into(), SIZES).await.unwrap();
        assert_eq!(dimensions(&content), [("small", 64, 64), ("large", 300, 1), ("wide", 120, 30)]);
    }

    #[tokio::test]
    async fn what_shows_through_stays_so() {
        let glass = RgbaImage::from_pixel(200, 200, Rgba([200, 10, 10, 128]));
        let content =
            pictures(somebody(), file(&DynamicImage::ImageRgba8(glass), ImageFormat::Png).into(), SIZES).await.unwrap();
        assert_eq!(content.content_type, "image/png");
        let small = image::load_from_memory(&content.objects[0].1).unwrap().into_rgba8();
        assert_eq!(small.get_pixel(32, 32).0[3], 128);
        let wall = RgbaImage::from_pixel(200, 200, Rgba([200, 10, 10, 255]));
        let content =
            pictures(somebody(), file(&DynamicImage::ImageRgba8(wall), ImageFormat::Png).into(), SIZES).await.unwrap();
        assert_eq!(content.content_type, "image/jpeg");
    }

    #[tokio::test]
    async fn a_camera_s_picture_is_turned_and_tells_nothing_more() {
        // TIFF, little-endian: one entry, the orientation (274), which says that what is left is up (6).
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
        let holds = |bytes: &[u8], words: &[u8]| bytes.windows(words.len()).any(|part| part == words);
        assert!(holds(&bytes, b"a secret place") && holds(&bytes, b"Exif"));

        let content = pictures(somebody(), bytes.into(), SIZES).await.unwrap();
        assert_eq!(dimensions(&content)[1], ("large", 20, 40));
        for (name, bytes) in &content.objects {
            assert!(!holds(bytes, b"a secret place") && !holds(bytes, b"Exif"), "{name}");
        }
        let large = image::load_from_memory(&content.objects[1].1).unwrap().into_rgb8();
        let (top, bottom) = (large.get_pixel(10, 5).0, large.get_pixel(10, 35).0);
        assert!(top[0] > 200 && bottom[2] > 200, "what was left is up: {top:?} {bottom:?}");
    }

    #[tokio::test]
    async fn what_is_no_picture_is_refused_whatever_it_is_called() {
        for bytes in [
            &b""[..],
            b"hello, I am a picture.png",
            b"<svg xmlns='http://www.w3.org/2000/svg'/>",
            b"BM",
            b"\xFF\xD8\xFF",
        ] {
            assert!(refusal(bytes).await.contains("none, or it is damaged"), "{bytes:?}");
        }
    }

    #[tokio::test]
    async fn what_is_not_there_to_its_end_is_refused() {
        for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP, ImageFormat::Gif] {
            let whole = file(&colourful(200, 150), format);
            for length in [whole.len() / 2, whole.len() / 4, 20] {
                let told = refusal(whole[..length].to_vec()).await;
                assert!(told.contains("none, or it is damaged"), "{format:?} {length}: {told}");
            }
        }
    }

    /// A PNG file that says how large it is and then has next to nothing in it.
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
    async fn a_picture_that_would_fill_the_memory_is_refused_by_its_first_bytes() {
        for (width, height) in [(60_000, 60_000), (12_001, 1), (8_000, 8_000), (u32::MAX >> 1, u32::MAX >> 1)] {
            assert!(refusal(bomb(width, height)).await.contains("megapixels"), "{width} × {height}");
        }
        assert!(refusal(bomb(100, 100)).await.contains("damaged"), "small, but nothing in it");
    }

    #[test]
    fn sides_are_rounded_and_never_nothing() {
        assert_eq!([part(100, 1, 3), part(200, 1, 3), part(1, 1, 1000), part(3, 2, 0)], [33, 67, 1, 6]);
        let large = shaped(&colourful(1000, 999), SIZES[1]);
        assert_eq!((large.width(), large.height()), (200, 200));
    }
}
