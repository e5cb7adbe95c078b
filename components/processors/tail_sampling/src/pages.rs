//! Where the bytes of waiting spans are: pages of one size, filled one after another and used again.
//!
//! All traces wait about equally long, so what came together leaves together, and pages empty in the order in which they were
//! filled. Taken from the allocator one by one, spans would be spread over an arena for each thread, of which each stays as
//! large as it ever was: several times what waits at once.
//!
//! A page is given back when the last piece in it is dropped. Where traces leave out of order (early decisions), pieces are
//! moved out of sparse pages ([`Writer::refresh`]), so that what pages occupy stays below about twice what is in them.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pdata::ByteAccount;
use pdata::account::Charge;

/// Bytes of a page.
const PAGE_BYTES: std::ops::RangeInclusive<usize> = 1 << 10..=128 << 10;
/// Pages that a budget is divided into, at least.
const PAGES_MIN: usize = 1024;
/// The part of the pages in use that are kept beside, empty.
const SPARE_SHARE: usize = 4;

/// The pages of a sampler.
#[derive(Debug)]
pub struct Pages {
    page_bytes: usize,
    account: Arc<ByteAccount>,
    /// Bytes of all buffers, and of those that are spare.
    all_bytes: Arc<AtomicUsize>,
    spare_bytes: AtomicUsize,
    /// Bytes of pieces.
    piece_bytes: AtomicUsize,
    spare: Mutex<Vec<Buffer>>,
}

/// Memory, counted from its making to its end.
struct Buffer {
    bytes: Vec<u8>,
    charge: Charge,
    all_bytes: Arc<AtomicUsize>,
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buffer({} of {})", self.bytes.len(), self.charge.bytes())
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.all_bytes.fetch_sub(self.charge.bytes(), Ordering::Relaxed);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pages {
    /// None so far. Their size goes by the budget; they are charged to `account`.
    #[must_use]
    pub fn new(budget: usize, account: Arc<ByteAccount>) -> Self {
        Self {
            page_bytes: (budget / PAGES_MIN).clamp(*PAGE_BYTES.start(), *PAGE_BYTES.end()),
            account,
            all_bytes: Arc::default(),
            spare_bytes: AtomicUsize::new(0),
            piece_bytes: AtomicUsize::new(0),
            spare: Mutex::default(),
        }
    }

    /// Bytes of pages in use.
    #[must_use]
    pub fn used_bytes(&self) -> usize {
        self.all_bytes.load(Ordering::Relaxed).saturating_sub(self.spare_bytes())
    }

    /// Bytes of pages that wait for being used again.
    #[must_use]
    pub fn spare_bytes(&self) -> usize {
        self.spare_bytes.load(Ordering::Relaxed)
    }

    /// Whether moving pieces would give much back: pages in use are less than half full.
    #[must_use]
    pub fn is_sparse(&self) -> bool {
        self.used_bytes() > 2 * self.piece_bytes.load(Ordering::Relaxed) + 32 * self.page_bytes
    }

    /// Gives back spare pages beyond a share of those in use.
    pub fn trim(&self) {
        self.trim_to(self.used_bytes() / SPARE_SHARE);
    }

    /// Gives back all spare pages.
    pub fn clear(&self) {
        self.trim_to(0);
    }

    fn trim_to(&self, bytes: usize) {
        let mut spare = lock(&self.spare);
        let keep = (bytes / self.page_bytes).min(spare.len());
        let surplus = spare.split_off(keep);
        if spare.is_empty() {
            *spare = Vec::new();
        }
        self.spare_bytes.store(spare.len() * self.page_bytes, Ordering::Relaxed);
        drop(spare);
        drop(surplus);
    }

    fn buffer(&self, bytes: usize) -> Buffer {
        if bytes == self.page_bytes
            && let Some(buffer) = lock(&self.spare).pop()
        {
            self.spare_bytes.fetch_sub(self.page_bytes, Ordering::Relaxed);
            return buffer;
        }
        self.all_bytes.fetch_add(bytes, Ordering::Relaxed);
        let all_bytes = Arc::clone(&self.all_bytes);
        Buffer { bytes: Vec::with_capacity(bytes), charge: self.account.charge(bytes), all_bytes }
    }

    fn give_back(&self, mut buffer: Buffer) {
        if buffer.charge.bytes() == self.page_bytes {
            buffer.bytes.clear();
            let mut spare = lock(&self.spare);
            spare.push(buffer);
            self.spare_bytes.fetch_add(self.page_bytes, Ordering::Relaxed);
        }
    }
}

/// A page, for as long as there are pieces in it.
#[derive(Debug)]
struct Page {
    buffer: Mutex<Option<Buffer>>,
    /// Bytes of its pieces.
    piece_bytes: AtomicUsize,
    pages: Arc<Pages>,
}

impl Drop for Page {
    fn drop(&mut self) {
        if let Some(buffer) = lock(&self.buffer).take() {
            self.pages.give_back(buffer);
        }
    }
}

/// Some bytes in a page.
#[derive(Debug)]
pub struct Piece {
    page: Arc<Page>,
    start: u32,
    len: u32,
}

impl Piece {
    /// Its length.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether it is of no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// A copy of its bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Box<[u8]> {
        self.with(|bytes| bytes.into())
    }

    fn with<T>(&self, read: impl FnOnce(&[u8]) -> T) -> T {
        let buffer = lock(&self.page.buffer);
        let start = self.start as usize;
        let bytes = buffer.as_ref().and_then(|buffer| buffer.bytes.get(start..start + self.len()));
        read(bytes.unwrap_or_default())
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.page.piece_bytes.fetch_sub(self.len(), Ordering::Relaxed);
        self.page.pages.piece_bytes.fetch_sub(self.len(), Ordering::Relaxed);
    }
}

/// Fills pages.
#[derive(Debug)]
pub struct Writer {
    pages: Arc<Pages>,
    open: Option<Arc<Page>>,
}

impl Writer {
    /// One that has begun no page.
    #[must_use]
    pub fn new(pages: Arc<Pages>) -> Self {
        Self { pages, open: None }
    }

    /// Adds a piece: `write` appends its bytes, which are `len`.
    pub fn add(&mut self, len: usize, write: impl FnOnce(&mut Vec<u8>)) -> Piece {
        let page_bytes = self.pages.page_bytes;
        let page = if len > page_bytes / 2 {
            // It has a page of its own.
            Self::page(&self.pages, len)
        } else {
            let has_room = |page: &&Arc<Page>| {
                lock(&page.buffer).as_ref().is_some_and(|buffer| buffer.bytes.len() + len <= page_bytes)
            };
            match self.open.as_ref().filter(has_room) {
                Some(page) => Arc::clone(page),
                None => Arc::clone(self.open.insert(Self::page(&self.pages, page_bytes))),
            }
        };
        let (mut start, mut written) = (0, 0);
        if let Some(Buffer { bytes, .. }) = &mut *lock(&page.buffer) {
            start = bytes.len();
            write(bytes);
            written = bytes.len() - start;
        }
        page.piece_bytes.fetch_add(written, Ordering::Relaxed);
        self.pages.piece_bytes.fetch_add(written, Ordering::Relaxed);
        Piece { page, start: start as u32, len: written as u32 }
    }

    fn page(pages: &Arc<Pages>, bytes: usize) -> Arc<Page> {
        let buffer = Mutex::new(Some(pages.buffer(bytes)));
        Arc::new(Page { buffer, piece_bytes: AtomicUsize::new(0), pages: Arc::clone(pages) })
    }

    /// Moves a piece to the page that is being filled if its own is less than half full of pieces.
    pub fn refresh(&mut self, piece: &mut Piece) {
        let is_open = self.open.as_ref().is_some_and(|open| Arc::ptr_eq(open, &piece.page));
        let is_sparse = piece.page.piece_bytes.load(Ordering::Relaxed) < self.pages.page_bytes / 2;
        if !is_open && is_sparse && piece.len() <= self.pages.page_bytes / 2 {
            *piece = self.add(piece.len(), |out| piece.with(|bytes| out.extend_from_slice(bytes)));
        }
    }

    /// Begins no further piece in the page that was begun.
    pub fn close(&mut self) {
        self.open = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages() -> Arc<Pages> {
        Arc::new(Pages::new(4 << 20, ByteAccount::unlimited()))
    }

    fn add(writer: &mut Writer, byte: u8, len: usize) -> Piece {
        writer.add(len, |out| out.resize(out.len() + len, byte))
    }

    #[test]
    fn pieces_share_pages_and_emptied_ones_are_used_again() {
        let pages = pages();
        let mut writer = Writer::new(Arc::clone(&pages));
        let mut pieces: Vec<Piece> = (0..8).map(|n| add(&mut writer, n, 1000)).collect();
        assert_eq!(pages.used_bytes(), 2 * 4096, "four in each");
        for (n, piece) in (0..).zip(&pieces) {
            assert_eq!(*piece.to_bytes(), [n; 1000]);
        }
        pieces.drain(..4);
        assert_eq!((pages.used_bytes(), pages.spare_bytes()), (4096, 4096));
        pieces.extend((8..12).map(|n| add(&mut writer, n, 1000)));
        assert_eq!((pages.used_bytes(), pages.spare_bytes()), (2 * 4096, 0));
        assert_eq!(pages.account.held(), 2 * 4096);
        drop(pieces);
        writer.close();
        pages.clear();
        assert_eq!((pages.used_bytes(), pages.spare_bytes(), pages.account.held()), (0, 0, 0));
    }

    #[test]
    fn large_pieces_have_pages_of_their_size() {
        let pages = pages();
        let mut writer = Writer::new(Arc::clone(&pages));
        let (small, large) = (add(&mut writer, 1, 10), add(&mut writer, 2, 100_000));
        assert_eq!(pages.used_bytes(), 4096 + 100_000);
        assert_eq!(*large.to_bytes(), [2; 100_000]);
        drop(large);
        assert_eq!((pages.used_bytes(), pages.spare_bytes()), (4096, 0));
        drop(small);
    }

    #[test]
    fn few_pieces_are_spare_and_the_others_given_back() {
        let pages = pages();
        let mut writer = Writer::new(Arc::clone(&pages));
        let mut pieces: Vec<Piece> = (0..400).map(|_| add(&mut writer, 0, 1000)).collect();
        pieces.truncate(80);
        pages.trim();
        assert_eq!((pages.used_bytes(), pages.spare_bytes()), (21 * 4096, 5 * 4096), "one is open");
    }

    #[test]
    fn pieces_leave_sparse_pages() {
        let pages = pages();
        let mut writer = Writer::new(Arc::clone(&pages));
        let mut number = 0;
        let mut pieces: Vec<Piece> = (0..400).map(|n| add(&mut writer, (n % 251) as u8, 1000)).collect();
        pieces.retain(|_| {
            number += 1;
            number % 4 == 1
        });
        assert!(pages.is_sparse());
        pieces.iter_mut().for_each(|piece| writer.refresh(piece));
        assert!(!pages.is_sparse());
        assert!(pages.used_bytes() <= 27 * 4096, "{}", pages.used_bytes());
        for (n, piece) in (0..).step_by(4).zip(&pieces) {
            assert_eq!(*piece.to_bytes(), [(n % 251) as u8; 1000]);
        }
    }
}
