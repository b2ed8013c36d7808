//! Work on one decoder that goes through its layers side by side.

use super::Decoder;

/// One of several pieces of work on a decoder: any number of passes.
pub type Job<'a, T> = Box<dyn FnOnce(&Decoder) -> T + Send + 'a>;

impl Decoder {
    /// How many jobs had better be handed to [`together`](Self::together) at once, if each holds so many bytes while
    /// it runs: 1 where the blocks are in memory, else as many as the memory set aside for it takes.
    #[must_use]
    pub fn jobs_at_once(&self, bytes_each: u64) -> usize {
        self.stream.as_ref().map_or(1, |stream| stream.jobs_at_once(bytes_each))
    }

    /// Does all `jobs`, and returns what they return, in their order.
    ///
    /// Where the blocks are [streamed](Self::is_streamed), the passes of all jobs go through each block together, so
    /// that it is read once for all of them; the jobs must not wait for one another. Else it is one job after the
    /// other. What a job computes is the same, bit for bit.
    ///
    /// # Memory
    /// That of all jobs at once if the blocks are streamed; hidden states that wait may lie on disk, caches and what
    /// the jobs hold do not.
    ///
    /// # Panics
    /// If a job does.
    pub fn together<T: Send>(&self, jobs: Vec<Job<'_, T>>) -> Vec<T> {
        let Some(stream) = self.stream.as_deref().filter(|_| jobs.len() > 1) else {
            return jobs.into_iter().map(|job| job(self)).collect();
        };
        // All are counted before the first begins.
        let joined: Vec<_> = jobs.into_iter().map(|job| (stream.join(), job)).collect();
        std::thread::scope(|scope| {
            let running: Vec<_> = joined
                .into_iter()
                .map(|(joined, job)| {
                    scope.spawn(move || {
                        let _joined = joined;
                        job(self)
                    })
                })
                .collect();
            let done = running
                .into_iter()
                .map(|job| job.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            done.collect()
        })
    }
}
