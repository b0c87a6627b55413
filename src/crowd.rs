//! Work that is done for many at once.

use tokio::sync::mpsc;

/// Waits for work, then takes all that there is, up to `most`, and all that those bring who are
/// about to: whoever is ready to run gets their turn first, for as long as that brings more. Under
/// load it makes few crowds of many out of many of few; alone it costs next to nothing. Returns how
/// much it is; 0 when no more can come.
pub async fn gather<T>(queue: &mut mpsc::Receiver<T>, crowd: &mut Vec<T>, most: usize) -> usize {
    let mut known = 0;
    let mut all = queue.recv_many(crowd, most).await;
    while known < all && all < most {
        known = all;
        tokio::task::yield_now().await;
        while all < most
            && let Ok(more) = queue.try_recv()
        {
            crowd.push(more);
            all += 1;
        }
    }
    all
}
