//! Reads what is compressed with gzip or zstd, or not at all; its first bytes tell which.

use std::io::{self, BufRead, Read};

use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
/// How much of what it unpacked a decoder of zstd may have to keep: four times what every decoder must be able to.
const LARGEST_WINDOW: u64 = 32 << 20;

/// The content, unpacked as it is read.
pub(super) fn decompress(mut packed: impl BufRead + 'static) -> io::Result<Box<dyn Read>> {
    let begins = packed.fill_buf()?;
    if begins.starts_with(GZIP) {
        Ok(Box::new(Gzip(MultiGzDecoder::new(packed))))
    } else if begins.starts_with(ZSTD) {
        Ok(Box::new(Zstd::new(packed)))
    } else {
        Ok(Box::new(packed))
    }
}

/// Says what is damaged.
struct Gzip<R>(MultiGzDecoder<R>);

impl<R: BufRead> Read for Gzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => damaged("gzip", &error),
            io::ErrorKind::UnexpectedEof => damaged("gzip", &"it ends too early"),
            _ => error,
        })
    }
}

/// Frames of zstd, one after the other; those to be skipped are.
struct Zstd<R> {
    packed: R,
    frame: FrameDecoder,
}

impl<R: BufRead> Zstd<R> {
    fn new(packed: R) -> Self {
        let mut frame = FrameDecoder::new();
        frame.set_max_window_size(LARGEST_WINDOW);
        Self { packed, frame }
    }

    /// Goes on to the next frame that has content; gives whether there is one.
    fn next_frame(&mut self) -> io::Result<bool> {
        while !self.packed.fill_buf()?.is_empty() {
            match self.frame.reset(&mut self.packed) {
                Ok(()) => return Ok(true),
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    io::copy(&mut (&mut self.packed).take(u64::from(length)), &mut io::sink())?;
                }
                Err(error) => return Err(damaged("zstd", &error)),
            }
        }
        Ok(false)
    }
}

impl<R: BufRead> Read for Zstd<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.frame.can_collect() == 0 {
            if self.frame.is_finished() {
                if !self.next_frame()? {
                    return Ok(0);
                }
            } else {
                let decoded =
                    self.frame.decode_blocks(&mut self.packed, BlockDecodingStrategy::UptoBlocks(1));
                decoded.map_err(|error| damaged("zstd", &error))?;
            }
        }
        self.frame.read(buffer)
    }
}

fn damaged(form: &str, error: &dyn std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the {form} data is damaged: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn unpacked(packed: Vec<u8>) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        decompress(io::Cursor::new(packed))?.read_to_end(&mut content)?;
        Ok(content)
    }

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(content).expect("packed");
        encoder.finish().expect("packed")
    }

    fn zstd(content: &[u8]) -> Vec<u8> {
        ruzstd::encoding::compress_to_vec(content, ruzstd::encoding::CompressionLevel::Fastest)
    }

    #[test]
    fn each_form_is_known_by_its_first_bytes() {
        let content = b"hello hello hello".repeat(1000);
        assert_eq!(unpacked(content.clone()).expect("unpacked"), content);
        assert_eq!(unpacked(gzip(&content)).expect("unpacked"), content);
        assert_eq!(
            unpacked([gzip(&content), gzip(b"!")].concat()).expect("unpacked"),
            [&content[..], b"!"].concat()
        );
        assert_eq!(unpacked(zstd(&content)).expect("unpacked"), content);
        let skipped = [&[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"abc"].concat();
        let frames = [zstd(&content), skipped, zstd(b"!")].concat();
        assert_eq!(unpacked(frames).expect("unpacked"), [&content[..], b"!"].concat());
        assert_eq!(unpacked(Vec::new()).expect("unpacked"), b"");
    }

    #[test]
    fn what_is_damaged_is_refused() {
        let content = b"hello hello hello".repeat(1000);
        for packed in [gzip(&content), zstd(&content)] {
            let cut = packed[..packed.len() / 2].to_vec();
            assert!(unpacked(cut).expect_err("a refusal").to_string().contains("data is damaged"));
        }
    }
}
