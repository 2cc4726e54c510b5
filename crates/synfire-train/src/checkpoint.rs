//! Checkpoints of a run: written atomically, and verified before use.
//!
//! burn-train saves model, optimizer and scheduler in three files by three threads. A run that is killed in between
//! must resume from the last three that belong together, so `state.json`, written last, names them with their
//! SHA-256, along with the history of the run.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::lr_scheduler::LrSchedulerRecord;
use burn::store::ModuleRecord;
use burn::tensor::{Bytes, DType, Shape, Tensor};
use burn::train::checkpoint::{
    Checkpoint, Checkpointer, CheckpointerError, CheckpointingAction, CheckpointingStrategy,
};
use burn::train::metric::store::{Aggregate, EventStoreClient, Split};
use serde::{Deserialize, Serialize};
use synfire_data::{read_regular, remove_leftovers, sha256, write_atomically};

use crate::config::BestBy;
use crate::history::{EpochRecord, HistoryLogger, best};
use crate::{RunError, say};
use synfire_models::not_finite;

/// The three files of a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The weights.
    Model,
    /// State of the optimizer.
    Optimizer,
    /// State of the learning rate schedule.
    Scheduler,
}

const PARTS: [Part; 3] = [Part::Model, Part::Optimizer, Part::Scheduler];

/// The files that the state of an epoch names: those of the epoch, and the weights of the best one.
fn files_of(epoch: usize, best: usize) -> impl Iterator<Item = String> {
    let own = PARTS.map(|part| part.file(epoch));
    own.into_iter().chain([Part::Model.file(best)])
}

impl Part {
    fn file(self, epoch: usize) -> String {
        let name = match self {
            Self::Model => "model",
            Self::Optimizer => "optimizer",
            Self::Scheduler => "scheduler",
        };
        format!("{name}-{epoch}.bpk")
    }
}

/// The content of `state.json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// The id of the run, see [`RunFile::id`](crate::saved::RunFile::id).
    pub run: String,
    /// The last epoch with a whole checkpoint.
    pub epoch: usize,
    /// Figures of the epochs so far.
    pub history: Vec<EpochRecord>,
    /// The files of that epoch and of the best one, with their SHA-256.
    pub files: BTreeMap<String, String>,
}

/// The checkpoints in a run's folder. Clones share their state.
#[derive(Clone)]
pub struct Checkpoints {
    folder: PathBuf,
    best_by: BestBy,
    run: String,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    /// Hashes of the files that have been written or verified.
    files: BTreeMap<String, String>,
    /// The epochs that have files.
    epochs: BTreeSet<usize>,
    history: Vec<EpochRecord>,
    /// The first error.
    error: Option<RunError>,
}

const STATE: &str = "state.json";
/// The folder of checkpoints in that of a run.
pub const CHECKPOINTS: &str = "checkpoint";

impl Checkpoints {
    /// The checkpoints in `folder`, of the last epoch and the best one of a [run](crate::saved::RunFile::id).
    pub fn new(folder: impl Into<PathBuf>, best_by: BestBy, run: &str) -> Self {
        Self {
            folder: folder.into(),
            best_by,
            run: run.to_owned(),
            inner: Arc::default(),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no holder of the lock panics")
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.join(file)
    }

    /// All epochs that have ended.
    pub fn history(&self) -> Vec<EpochRecord> {
        self.inner().history.clone()
    }

    /// The first error that a checkpoint met, if any.
    pub fn take_error(&self) -> Option<RunError> {
        self.inner().error.take()
    }

    /// Keeps `error` if it is the first.
    pub fn report(&self, error: RunError) {
        self.inner().error.get_or_insert(error);
    }

    /// Reads `state.json` and verifies every file it names. `None` if no epoch was finished.
    ///
    /// # Errors
    ///
    /// If a file is missing, unreadable or changed, or belongs to another run.
    pub fn open(&self) -> Result<Option<State>, RunError> {
        remove_leftovers(&self.folder, Duration::ZERO);
        let path = self.path(STATE);
        let text = match read_regular(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(RunError::io(&path)(error)),
        };
        let state: State = serde_json::from_slice(&text).map_err(RunError::damaged(&path))?;
        if state.run != self.run {
            return Err(RunError::OtherCheckpoint(path));
        }
        let best = best(&state.history, self.best_by).map_or(0, |record| record.epoch);
        let (epoch, epochs) = (state.epoch, state.history.len());
        if epoch == 0 || epochs != epoch {
            let reason =
                format!("`history` has {epochs} epochs, expected `epoch`, which is {epoch}");
            return Err(RunError::damaged(&path)(reason));
        }
        for file in files_of(epoch, best) {
            let Some(expected) = state.files.get(&file) else {
                return Err(RunError::damaged(&path)(format!("`files` lacks {file}")));
            };
            let path = self.path(&file);
            let bytes = read_regular(&path).map_err(RunError::io(&path))?;
            let found = sha256(&bytes);
            if found != *expected {
                let reason = format!("SHA-256 is {found}, expected {expected}");
                return Err(RunError::damaged(&path)(reason));
            }
        }
        let mut inner = self.inner();
        inner.files = state.files.clone();
        inner.history = state.history.clone();
        inner.epochs = self.epochs_on_disk()?;
        Ok(Some(state))
    }

    fn epochs_on_disk(&self) -> Result<BTreeSet<usize>, RunError> {
        let entries = fs::read_dir(&self.folder).map_err(RunError::io(&self.folder))?;
        let epoch = |entry: fs::DirEntry| {
            let name = entry.file_name().into_string().ok()?;
            name.strip_suffix(".bpk")?.split_once('-')?.1.parse().ok()
        };
        Ok(entries.filter_map(Result::ok).filter_map(epoch).collect())
    }

    /// Reads one part of an epoch.
    fn read<R: Checkpoint>(&self, part: Part, epoch: usize) -> Result<R, RunError> {
        let path = self.path(&part.file(epoch));
        let bytes = read_regular(&path).map_err(RunError::io(&path))?;
        R::checkpoint_from_bytes(Bytes::from_bytes_vec(bytes)).map_err(RunError::damaged(&path))
    }

    /// Loads the weights of an epoch into `module`.
    ///
    /// # Errors
    ///
    /// If the file is unreadable or belongs to another architecture.
    pub fn load<M: Module>(&self, module: M, epoch: usize) -> Result<M, RunError> {
        let record = self.read::<ModuleRecord>(Part::Model, epoch)?;
        let path = self.path(&Part::Model.file(epoch));
        let module = module.try_load_record(record);
        module.map_err(RunError::damaged(path))
    }

    /// Checks that the other two parts of an epoch can be loaded: burn-train would panic. `module` has the weights of the
    /// epoch.
    ///
    /// # Errors
    ///
    /// If a file is unreadable, or the optimizer's state does not fit these weights.
    pub fn probe<M: Module>(&self, module: &M, epoch: usize) -> Result<(), RunError> {
        self.read::<LrSchedulerRecord>(Part::Scheduler, epoch)?;
        let path = self.path(&Part::Optimizer.file(epoch));
        let bytes = read_regular(&path).map_err(RunError::io(&path))?;
        optimizer_fits(module, bytes).map_err(RunError::damaged(&path))
    }

    /// The checkpointer of the weights, which saves none that hold a number that is not finite. `module` is a module of the
    /// kind that is trained.
    pub fn model<M: Module + Sync + 'static>(&self, module: M) -> PartCheckpointer<ModuleRecord> {
        let checkpoints = self.clone();
        let check = move |record: &ModuleRecord, epoch| {
            let path = checkpoints.path(&Part::Model.file(epoch));
            let module = module.clone().valid().try_load_record(record.clone());
            match not_finite(&module.map_err(RunError::damaged(path))?) {
                None => Ok(()),
                Some(parameter) => {
                    let what = format!("the weights `{parameter}` are no longer finite");
                    Err(RunError::NotFinite { epoch, what })
                }
            }
        };
        PartCheckpointer {
            check: Box::new(check),
            ..self.part(Part::Model)
        }
    }

    /// The checkpointer of one part.
    pub fn part<R>(&self, part: Part) -> PartCheckpointer<R> {
        PartCheckpointer {
            checkpoints: self.clone(),
            part,
            check: Box::new(|_, _| Ok(())),
        }
    }

    /// Writes one part of an epoch and, if the three of the epoch are there, commits the checkpoint.
    fn save(&self, part: Part, epoch: usize, bytes: &[u8]) -> Result<(), RunError> {
        let path = self.path(&part.file(epoch));
        write_atomically(&path, |file| file.write_all(bytes)).map_err(RunError::io(&path))?;
        let mut inner = self.inner();
        inner.files.insert(part.file(epoch), sha256(bytes));
        let is_there = |part: &Part| inner.files.contains_key(&part.file(epoch));
        if !PARTS.iter().all(is_there) {
            return Ok(());
        }
        let history: Vec<_> = inner.history.iter().take(epoch).cloned().collect();
        let best = best(&history, self.best_by).map_or(epoch, |record| record.epoch);
        let named: Vec<_> = files_of(epoch, best).collect();
        let mut files = inner.files.clone();
        files.retain(|file, _| named.contains(file));
        let state = State {
            run: self.run.clone(),
            epoch,
            files,
            history,
        };
        write_json(&self.path(STATE), &state)
    }

    /// The strategy that decides after each epoch which checkpoints to keep.
    ///
    /// With `warn` it prints a line for each warning of the epoch.
    pub fn strategy(&self, recorder: HistoryLogger, warn: bool) -> Strategy {
        Strategy {
            checkpoints: self.clone(),
            recorder,
            warn,
        }
    }
}

/// True if every tensor in an optimizer's state belongs to a parameter of the module and has its shape. Burn does not
/// check it.
fn optimizer_fits<M: Module>(module: &M, record: Vec<u8>) -> Result<(), String> {
    let mut shapes = Shapes::default();
    module.visit(&mut shapes);
    let text = |error: burn_pack::Error| error.to_string();
    let reader = burn_pack::Reader::from_bytes(Bytes::from_bytes_vec(record)).map_err(text)?;
    for (name, value) in reader.scalars() {
        // Burn's own entry beside the tensors of a parameter.
        let Some(id) = name.strip_suffix(".__rank") else {
            continue;
        };
        let shape = id.parse().ok().and_then(|id: u64| shapes.0.get(&id));
        let rank = usize::try_from(*value).ok();
        if shape.is_none() || shape.map(Shape::num_dims) != rank {
            return Err(format!(
                "`{name}` is not that of a parameter of the network"
            ));
        }
    }
    let tensors = reader.into_tensors().map_err(text)?;
    if tensors.is_empty() {
        return Err("it remembers nothing".to_owned());
    }
    for tensor in tensors {
        let (name, dtype, shape, parameter, bytes) = tensor.into_parts().map_err(text)?;
        let of = parameter.filter(|id| name.starts_with(&format!("{id}.")));
        if of.and_then(|id| shapes.0.get(&id)) != Some(&shape) {
            return Err(format!(
                "`{name}` of shape {shape:?} is not of a parameter of the network"
            ));
        }
        let float = matches!(dtype, DType::F64 | DType::F32 | DType::F16 | DType::BF16);
        if !float || bytes.len() != shape.num_elements() * dtype.size() {
            return Err(format!("`{name}` is no tensor of floating-point numbers"));
        }
    }
    Ok(())
}

/// The shapes of a module's parameters.
#[derive(Default)]
struct Shapes(BTreeMap<u64, Shape>);

impl ModuleVisitor for Shapes {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        self.0.insert(parameter.id.val(), parameter.shape());
    }
}

/// Writes a value as JSON, atomically.
///
/// # Errors
///
/// If the file cannot be written.
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<(), RunError> {
    write_atomically(path, |file| {
        serde_json::to_writer_pretty(&mut *file, value)?;
        file.write_all(b"\n")
    })
    .map_err(RunError::io(path))
}

/// Check of a record of an epoch before it is saved.
type Check<R> = dyn Fn(&R, usize) -> Result<(), RunError> + Send + Sync;

/// Saves one part of the checkpoints.
pub struct PartCheckpointer<R> {
    checkpoints: Checkpoints,
    part: Part,
    check: Box<Check<R>>,
}

impl<R> PartCheckpointer<R> {
    fn path(&self, epoch: usize) -> PathBuf {
        self.checkpoints.path(&self.part.file(epoch))
    }

    /// Stores the error for the end of the run and stops training.
    fn fail(&self, error: RunError) -> CheckpointerError {
        let text = error.to_string();
        self.checkpoints.report(error);
        CheckpointerError::Unknown(text)
    }
}

impl<R: Checkpoint> Checkpointer<R> for PartCheckpointer<R> {
    fn save(&self, epoch: usize, record: R) -> Result<(), CheckpointerError> {
        let save = || {
            (self.check)(&record, epoch)?;
            let bytes = record.checkpoint_into_bytes();
            let bytes = bytes.map_err(RunError::damaged(self.path(epoch)))?;
            self.checkpoints.save(self.part, epoch, &bytes)
        };
        save().map_err(|error| self.fail(error))
    }

    fn delete(&self, epoch: usize) -> Result<(), CheckpointerError> {
        let path = self.path(epoch);
        match fs::remove_file(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            removed => removed.map_err(|error| self.fail(RunError::io(&path)(error))),
        }
    }

    fn restore(&self, epoch: usize) -> Result<R, CheckpointerError> {
        let record = self.checkpoints.read(self.part, epoch);
        record.map_err(|error| self.fail(error))
    }
}

/// Saves every epoch, and keeps the last ones and the best.
pub struct Strategy {
    checkpoints: Checkpoints,
    recorder: HistoryLogger,
    warn: bool,
}

/// The epochs whose files must stay after `epoch`: those that the `state.json` of this epoch or of the two before it
/// names, as the files of this one are not written yet and those of the last may not be committed.
fn kept(history: &[EpochRecord], epoch: usize, by: BestBy) -> BTreeSet<usize> {
    (epoch.saturating_sub(2)..=epoch)
        .filter(|epoch| *epoch > 0)
        .flat_map(|epoch| {
            let until = &history[..epoch.min(history.len())];
            [epoch, best(until, by).map_or(epoch, |record| record.epoch)]
        })
        .collect()
}

impl CheckpointingStrategy for Strategy {
    fn checkpointing(
        &mut self,
        epoch: usize,
        store: &EventStoreClient,
    ) -> Vec<CheckpointingAction> {
        // The store processes messages in order: after its answer it has seen all of the epoch.
        store.find_metric("", epoch, Aggregate::Mean, &Split::Train);
        let record = self.recorder.end_epoch(epoch);
        if self.warn {
            for warning in record.warnings(&self.recorder.layers()) {
                say!("warning: {warning}");
            }
        }

        let mut inner = self.checkpoints.inner();
        inner.history.push(record);
        inner.epochs.insert(epoch);
        let keep = kept(&inner.history, epoch, self.checkpoints.best_by);
        let stale = inner.epochs.extract_if(.., |epoch| !keep.contains(epoch));
        let delete = stale.map(CheckpointingAction::Delete);
        delete.chain([CheckpointingAction::Save]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::SplitRecord;
    use burn::module::ModuleMapper;
    use burn::tensor::{Device, TensorData};
    use synfire_models::StbpMlpConfig;

    fn history(accuracies: &[f64]) -> Vec<EpochRecord> {
        let record = |(i, accuracy): (usize, &f64)| EpochRecord {
            epoch: i + 1,
            validation: SplitRecord {
                accuracy: *accuracy,
                ..SplitRecord::default()
            },
            ..EpochRecord::default()
        };
        accuracies.iter().enumerate().map(record).collect()
    }

    #[test]
    fn the_last_three_epochs_and_their_best_stay() {
        let all = history(&[0.1, 0.9, 0.2, 0.3, 0.4, 0.95]);
        let kept = |epoch| {
            kept(&all[..epoch], epoch, BestBy::Accuracy)
                .into_iter()
                .collect::<Vec<_>>()
        };
        assert_eq!(kept(1), [1]);
        assert_eq!(kept(3), [1, 2, 3]);
        assert_eq!(kept(5), [2, 3, 4, 5]);
        // The state of epoch 5 still names epoch 2 as the best.
        assert_eq!(kept(6), [2, 4, 5, 6]);
    }

    fn checkpoints_in(folder: &tempfile::TempDir) -> Checkpoints {
        Checkpoints::new(folder.path(), BestBy::Accuracy, "a run")
    }

    /// Saves three parts of `epoch` with one byte each.
    fn save(checkpoints: &Checkpoints, epoch: usize) {
        checkpoints.inner().history = history(&vec![0.5; epoch]);
        for part in PARTS {
            checkpoints.save(part, epoch, &[epoch as u8]).unwrap();
        }
    }

    #[test]
    fn a_checkpoint_counts_when_its_three_files_are_there() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = checkpoints_in(&folder);
        assert_eq!(checkpoints.open().unwrap(), None);
        save(&checkpoints, 1);
        // The process was killed between the files of epoch 2.
        checkpoints.inner().history = history(&[0.5, 0.6]);
        checkpoints.save(Part::Model, 2, b"x").unwrap();
        checkpoints.save(Part::Scheduler, 2, b"x").unwrap();
        let state = checkpoints_in(&folder).open().unwrap().unwrap();
        assert_eq!((state.epoch, state.history.len()), (1, 1));
        checkpoints.save(Part::Optimizer, 2, b"x").unwrap();
        let state = checkpoints_in(&folder).open().unwrap().unwrap();
        assert_eq!((state.epoch, state.history.len()), (2, 2));
    }

    /// Sets the last weight of every matrix.
    struct Fill(f32);

    impl ModuleMapper for Fill {
        fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
            if D != 2 {
                return parameter;
            }
            parameter.map(|weights| {
                let (shape, device) = (weights.shape(), weights.device());
                let mut values = weights.into_data().try_to_vec::<f32>().unwrap();
                *values.last_mut().unwrap() = self.0;
                Tensor::from_data(TensorData::new(values, shape), &device)
            })
        }
    }

    #[test]
    fn weights_that_are_not_finite_are_not_saved() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = checkpoints_in(&folder);
        let device = Device::flex();
        let config = StbpMlpConfig::new().with_sizes(vec![3, 2]);
        let network = config.init(&device).unwrap();
        let checkpointer = checkpoints.model(network.clone());
        for (value, good) in [(1.0, true), (f32::NAN, false), (f32::NEG_INFINITY, false)] {
            let network = network.clone().map(&mut Fill(value));
            let saved = checkpointer.save(4, network.into_record());
            assert_eq!(saved.is_ok(), good);
            let file = folder.path().join("model-4.bpk");
            assert_eq!(file.exists(), good);
            let _ = fs::remove_file(file);
        }
        let error = checkpoints.take_error().unwrap().to_string();
        assert!(
            error.contains("epoch 4") && error.contains("layers.0.weight"),
            "{error}"
        );
    }

    #[test]
    fn checkpoints_of_another_run_are_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        save(&checkpoints_in(&folder), 1);
        let other = Checkpoints::new(folder.path(), BestBy::Accuracy, "another");
        assert!(matches!(
            other.open(),
            Err(RunError::OtherCheckpoint { .. })
        ));
        assert!(checkpoints_in(&folder).open().unwrap().is_some());
    }

    #[test]
    fn what_an_optimizer_remembers_must_be_of_the_network() {
        let device = Device::flex();
        let config = StbpMlpConfig::new().with_sizes(vec![3, 2]);
        let network = config.init(&device).unwrap();
        let id = network.classifier.layers[0].weight.id.val();
        let write = |tensors, rank: u64| {
            let rank = burn_pack::Scalar::from(rank);
            let writer = burn_pack::Writer::new(tensors).with_scalar(&format!("{id}.__rank"), rank);
            writer.into_bytes().unwrap().to_vec()
        };
        let tensor = |name: &str, of: Option<u64>, shape: [usize; 2], dtype: DType| {
            let bytes = vec![0; dtype.size() * shape.iter().product::<usize>()];
            let shape = Shape::from(shape.to_vec());
            let bytes = Bytes::from_bytes_vec(bytes);
            burn_pack::Tensor::new(name.to_owned(), dtype, shape, of, bytes)
        };
        let name = format!("{id}.momentum");
        let good = || tensor(&name, Some(id), [3, 2], DType::F32);
        let fits = |record| optimizer_fits(&network, record);
        fits(write(vec![good()], 2)).unwrap();
        for bad in [
            tensor(&name, None, [3, 2], DType::F32),
            tensor(&name, Some(id ^ 1), [3, 2], DType::F32),
            tensor("1.momentum", Some(id), [3, 2], DType::F32),
            tensor(&name, Some(id), [2, 3], DType::F32),
            tensor(&name, Some(id), [3, 2], DType::I32),
        ] {
            let error = fits(write(vec![bad], 2)).unwrap_err();
            assert!(error.contains("momentum"), "{error}");
        }
        let error = fits(write(vec![good()], 0)).unwrap_err();
        assert!(error.contains("__rank"), "{error}");
        assert!(fits(b"no record".to_vec()).is_err());
        assert!(fits(write(Vec::new(), 2)).unwrap_err().contains("nothing"));
    }

    #[test]
    fn missing_and_changed_files_are_named() {
        for (damage, file) in [
            ("remove", "model-2.bpk"),
            ("remove", "optimizer-2.bpk"),
            ("change", "scheduler-2.bpk"),
            // The best one.
            ("change", "model-1.bpk"),
        ] {
            let folder = tempfile::tempdir().unwrap();
            save(&checkpoints_in(&folder), 1);
            let checkpoints = checkpoints_in(&folder);
            checkpoints.open().unwrap();
            save(&checkpoints, 2);
            let path = folder.path().join(file);
            if damage == "remove" {
                fs::remove_file(&path).unwrap();
            } else {
                fs::write(&path, b"other").unwrap();
            }
            let error = checkpoints_in(&folder).open().unwrap_err();
            let text = error.to_string();
            assert!(text.contains(file), "{text}");
        }
    }

    #[test]
    fn a_damaged_state_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = checkpoints_in(&folder);
        for text in [
            "",
            "{}",
            "{\"epoch\": 3}",
            r#"{"run":"a run","epoch":1,"history":[],"files":{}}"#,
        ] {
            fs::write(folder.path().join(STATE), text).unwrap();
            let error = checkpoints.open().unwrap_err().to_string();
            assert!(error.contains(STATE), "{error}");
        }
    }
}
