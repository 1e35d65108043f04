//! Limits on what a client sends over one socket.

use std::time::{Duration, Instant};

/// How many frames that are not understood are tolerated, and in which time.
const BAD_FRAMES: u32 = 5;
const BAD_FRAME_WINDOW: Duration = Duration::from_secs(10);

/// Counts the frames of a socket.
pub(crate) struct Limits {
    frames: Bucket,
    bad_frames: Bucket,
}

/// A token bucket.
struct Bucket {
    capacity: f64,
    per_second: f64,
    available: f64,
    at: Instant,
}

impl Bucket {
    fn new(capacity: u32, period: Duration) -> Self {
        let capacity = f64::from(capacity.max(1));
        let per_second = capacity / period.as_secs_f64();
        Self { capacity, per_second, available: capacity, at: Instant::now() }
    }

    fn take(&mut self, now: Instant) -> bool {
        let elapsed = now.saturating_duration_since(self.at).as_secs_f64();
        self.available = (self.available + elapsed * self.per_second).min(self.capacity);
        self.at = now;
        let is_available = self.available >= 1.0;
        if is_available {
            self.available -= 1.0;
        }
        is_available
    }
}

impl Limits {
    pub(crate) fn new(frames_per_second: u32) -> Self {
        let frames = Bucket::new(frames_per_second, Duration::from_secs(1));
        // The fifth bad frame is one too many.
        Self { frames, bad_frames: Bucket::new(BAD_FRAMES - 1, BAD_FRAME_WINDOW) }
    }

    /// Counts a frame; returns whether it is within the limit.
    pub(crate) fn allow_frame(&mut self) -> bool {
        self.frames.take(Instant::now())
    }

    /// Counts a frame that was not understood; returns whether it is within the limit.
    pub(crate) fn allow_bad_frame(&mut self) -> bool {
        self.bad_frames.take(Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_refills_with_time() {
        let mut bucket = Bucket::new(2, Duration::from_secs(1));
        let start = bucket.at;
        assert!(bucket.take(start) && bucket.take(start) && !bucket.take(start));
        assert!(bucket.take(start + Duration::from_millis(500)));
        assert!(!bucket.take(start + Duration::from_millis(600)));
        let later = start + Duration::from_secs(60);
        assert!(bucket.take(later) && bucket.take(later) && !bucket.take(later));
    }

    #[test]
    fn the_fifth_bad_frame_is_one_too_many() {
        let mut limits = Limits::new(50);
        assert!((0..4).all(|_| limits.allow_bad_frame()));
        assert!(!limits.allow_bad_frame());
    }
}
