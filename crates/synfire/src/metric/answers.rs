//! Predictions of a classifier.

use burn::tensor::{Int, Tensor, TensorReadError};

/// Counts of predicted classes, and of ties for the best score, where the first class is the prediction. They reveal a
/// collapsed network, whatever its layers do.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use synfire::metric::Answers;
///
/// let device = Device::default();
/// let mut answers = Answers::default();
/// let scores = Tensor::<2>::from_floats([[0.1, 0.9], [0.3, 0.3]], &device);
/// answers.add(&scores, &Tensor::from_ints([1, 0], &device)).unwrap();
/// assert_eq!(answers.of_class, [1, 1]);
/// assert_eq!(answers.undecided(), 0.5);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    /// Number of predictions of each class.
    pub of_class: Vec<usize>,
    /// Number of samples of each class.
    pub targets: Vec<usize>,
    /// Number of ties for the best score.
    pub shared: usize,
}

/// Maximum fraction of ties without a warning.
const MOST_UNDECIDED: f64 = 0.5;
/// Minimum number of samples per class to report missing classes.
const SAMPLES_OF_CLASS: usize = 20;

impl Answers {
    /// Adds the answers to a batch.
    ///
    /// # Shapes
    ///
    /// - scores: `[B, classes]`; the highest is the answer
    /// - targets: `[B]`, the true classes
    ///
    /// # Errors
    ///
    /// If they cannot be read from the device.
    pub fn add(
        &mut self,
        scores: &Tensor<2>,
        targets: &Tensor<1, Int>,
    ) -> Result<(), TensorReadError> {
        let [_, classes] = scores.dims();
        let targets = targets.try_to_data()?.convert::<i64>();
        let scores = scores.try_to_data()?.convert::<f32>();
        let scores: Vec<f32> = scores.iter::<f32>().collect();
        if self.of_class.len() < classes {
            self.of_class.resize(classes, 0);
            self.targets.resize(classes, 0);
        }
        for target in targets.iter::<i64>() {
            if let Some(count) = self.targets.get_mut(target as usize) {
                *count += 1;
            }
        }
        for scores in scores.chunks_exact(classes.max(1)) {
            let (class, shared) = answer(scores);
            self.of_class[class] += 1;
            self.shared += usize::from(shared);
        }
        Ok(())
    }

    /// The number of answers.
    pub fn count(&self) -> usize {
        self.of_class.iter().sum()
    }

    /// The fraction of answers with a tie for the best score, 0 to 1.
    pub fn undecided(&self) -> f64 {
        self.shared as f64 / self.count().max(1) as f64
    }

    /// The classes with samples that were never predicted. Empty if there are fewer than 20 samples per class, too few to expect
    /// each of them.
    pub fn missing(&self) -> Vec<usize> {
        let classes = self.of_class.len();
        if self.count() < SAMPLES_OF_CLASS * classes {
            return Vec::new();
        }
        (0..classes)
            .filter(|class| self.of_class[*class] == 0 && self.targets[*class] > 0)
            .collect()
    }

    /// Warnings about a collapsed network.
    pub fn warnings(&self) -> Vec<String> {
        let undecided = Self::undecided_warning(self.undecided());
        let missing = Self::missing_warning(self.missing().len());
        undecided.into_iter().chain(missing).collect()
    }

    /// A warning, if more than half of the answers are undecided.
    pub fn undecided_warning(undecided: f64) -> Option<String> {
        (undecided > MOST_UNDECIDED).then(|| {
            format!(
                "{:.0} % of the answers are undecided, several classes share the best score: the output may be silent",
                100.0 * undecided
            )
        })
    }

    /// A warning, if there are classes that were never the answer.
    pub fn missing_warning(count: usize) -> Option<String> {
        let text = match count {
            0 => return None,
            1 => "1 class is never the answer: its output may be dead".to_owned(),
            _ => format!("{count} classes are never the answer: their outputs may be dead"),
        };
        Some(text)
    }
}

/// The class with the highest score, the first one of a tie, and whether there is a tie. NaN never has the highest score;
/// if all scores are NaN, the answer is undecided.
///
/// ```
/// use synfire::metric::answer;
///
/// assert_eq!(answer(&[0.2, 0.7, 0.1]), (1, false));
/// assert_eq!(answer(&[0.0, 0.0, 0.0]), (0, true));
/// ```
pub fn answer(scores: &[f32]) -> (usize, bool) {
    let mut best = None;
    let mut shared = false;
    for (class, score) in scores.iter().enumerate() {
        match best {
            Some(best) if *score == scores[best] => shared = true,
            Some(best) if *score <= scores[best] => {}
            _ if score.is_nan() => {}
            _ => (best, shared) = (Some(class), false),
        }
    }
    match best {
        Some(best) => (best, shared),
        None => (0, true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    /// Answers to samples of these classes in turn.
    fn answers_to(targets: &[i32], rows: &[[f32; 3]]) -> Answers {
        let mut answers = Answers::default();
        for (row, target) in rows.iter().zip(targets.iter().cycle()) {
            let device = Device::default();
            let scores = Tensor::<2>::from_floats([*row], &device);
            let targets = Tensor::from_ints([*target], &device);
            answers.add(&scores, &targets).unwrap();
        }
        answers
    }

    fn answers(rows: &[[f32; 3]]) -> Answers {
        answers_to(&[0, 1, 2], rows)
    }

    #[test]
    fn the_first_of_equals_counts_and_is_undecided() {
        let found = answers(&[
            [0.1, 0.3, 0.3],
            [0.0; 3],
            [0.5, 0.1, 0.1],
            [-1.0, -2.0, -1.5],
        ]);
        assert_eq!(
            (found.of_class.as_slice(), found.shared),
            (&[3, 1, 0][..], 2)
        );
        assert_eq!(found.undecided(), 0.5);
        assert_eq!(answer(&[f32::NAN, 0.0, 0.0]), (1, true));
        assert_eq!(answer(&[0.0, f32::NAN, -1.0]), (0, false));
        assert_eq!(answer(&[f32::NAN; 3]), (0, true));
        assert_eq!(answer(&[]), (0, true));
    }

    #[test]
    fn a_network_that_has_collapsed_is_warned_of() {
        let silent = answers(&[[0.0; 3]; 60]).warnings();
        assert_eq!(silent.len(), 2);
        assert!(
            silent[0].starts_with("100 % of the answers are undecided"),
            "{silent:?}"
        );
        assert!(
            silent[1].starts_with("2 classes are never the answer"),
            "{silent:?}"
        );
        let one = answers(&[[0.1, 0.0, 0.2]; 60]);
        assert_eq!(one.missing(), [0, 1]);
        // A class without samples is not missing.
        assert_eq!(answers_to(&[1, 2], &[[0.1, 0.0, 0.2]; 60]).missing(), [1]);
        // Few samples need not include every class.
        assert!(answers(&[[0.1, 0.0, 0.2]; 59]).warnings().is_empty());
        let good = [
            [[1.0, 0.0, 0.0]; 20],
            [[0.0, 1.0, 0.0]; 20],
            [[0.0, 0.0, 1.0]; 20],
        ]
        .concat();
        assert!(answers(&good).warnings().is_empty());
    }
}
