//! The state of neurons between the steps of a sequence.

use std::borrow::Cow;
use std::fmt;

use burn::backend::ops::FloatTensorOps;
use burn::backend::{Dispatch, DispatchTensor, TensorMetadata};
use burn::tensor::{Device, Shape, Tensor, TensorData};
use serde::de::{Error, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The state of neurons after the last step of a sequence: named tensors, `[1, B, ...]` each, the membrane potential `v`
/// after reset first, and the number of steps so far. The documentation of a neuron names its tensors.
///
/// A state carries gradients until it is [detached](Self::detach). Serde saves and loads it; a loaded state is on the
/// default device until it is [moved](Self::to_device).
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use synfire::neuron::{LifConfig, Neuron, NeuronState};
///
/// let device = Device::default();
/// let lif = LifConfig::new().init(&device)?;
/// let (_, state) = lif.forward(Tensor::<3>::full([4, 2, 3], 0.1, &device), None);
/// assert_eq!(state.v::<3>().dims(), [1, 2, 3]);
/// assert_eq!(state.steps(), 4);
///
/// let text = serde_json::to_string(&state).unwrap();
/// let loaded: NeuronState = serde_json::from_str(&text).unwrap();
/// assert_eq!(loaded.to_device(&device).v::<3>().to_data(), state.v::<3>().to_data());
/// # Ok::<(), synfire::InvalidConfig>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct NeuronState {
    tensors: Vec<(Cow<'static, str>, DispatchTensor)>,
    steps: usize,
}

impl NeuronState {
    /// A state of these tensors, after this many steps.
    pub fn new<S: Into<Cow<'static, str>>, const D: usize>(
        tensors: impl IntoIterator<Item = (S, Tensor<D>)>,
        steps: usize,
    ) -> Self {
        let tensors = tensors.into_iter();
        let tensors = tensors.map(|(name, tensor)| (name.into(), tensor.into_dispatch()));
        Self {
            tensors: tensors.collect(),
            steps,
        }
    }

    /// The number of steps that led to it, since rest.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// The names of its tensors.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.iter().map(|(name, _)| name.as_ref())
    }

    /// The tensor of this name.
    ///
    /// # Panics
    ///
    /// If it is of another rank than `D`.
    pub fn get<const D: usize>(&self, name: &str) -> Option<Tensor<D>> {
        let (_, tensor) = self.tensors.iter().find(|(other, _)| other == name)?;
        Some(ranked(name, tensor.clone()))
    }

    /// Its tensors by name, of any rank.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, &DispatchTensor)> {
        self.tensors
            .iter()
            .map(|(name, tensor)| (name.as_ref(), tensor))
    }

    /// The membrane potential after reset, `[1, B, ...]`.
    ///
    /// # Panics
    ///
    /// If the neuron has none, as parallel neurons do not, or it is of another rank than `D`.
    pub fn v<const D: usize>(&self) -> Tensor<D> {
        self.expect("v")
    }

    /// [`get`](Self::get) of a tensor that its neuron always has.
    pub(crate) fn expect<const D: usize>(&self, name: &str) -> Tensor<D> {
        self.get(name).unwrap_or_else(|| {
            let names: Vec<_> = self.names().collect();
            panic!("NeuronState: it has {names:?}, expected `{name}`")
        })
    }

    /// [`expect`](Self::expect), without a copy of the handle.
    pub(crate) fn take<const D: usize>(mut self, name: &str) -> Tensor<D> {
        match self.tensors.iter().position(|(other, _)| other == name) {
            Some(at) => ranked(name, self.tensors.swap_remove(at).1),
            None => self.expect(name),
        }
    }

    /// The same with a tensor added or replaced.
    pub(crate) fn with<const D: usize>(mut self, name: &'static str, tensor: Tensor<D>) -> Self {
        self.tensors.retain(|(other, _)| other != name);
        self.tensors.push((name.into(), tensor.into_dispatch()));
        self
    }

    fn map(mut self, change: impl Fn(Tensor<1>) -> Tensor<1>) -> Self {
        for (_, tensor) in &mut self.tensors {
            // Operations that do not change the rank ignore the rank of the `Tensor` type.
            let changed = change(Tensor::from_dispatch(tensor.clone()));
            *tensor = changed.into_dispatch();
        }
        self
    }

    /// The same values without their graph: truncates backpropagation through time.
    pub fn detach(self) -> Self {
        self.map(Tensor::detach)
    }

    /// The state on another device.
    pub fn to_device(self, device: &Device) -> Self {
        self.map(|tensor| tensor.to_device(device))
    }
}

/// A tensor of rank `D`.
fn ranked<const D: usize>(name: &str, tensor: DispatchTensor) -> Tensor<D> {
    let rank = tensor.rank();
    assert!(
        rank == D,
        "NeuronState: `{name}` is of rank {rank}, expected {D}"
    );
    Tensor::from_dispatch(tensor)
}

const STEPS: &str = "steps";

impl Serialize for NeuronState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.tensors.len() + 1))?;
        for (name, tensor) in &self.tensors {
            let data = Tensor::<1>::from_dispatch(tensor.clone()).into_data();
            map.serialize_entry(name, &data)?;
        }
        map.serialize_entry(STEPS, &self.steps)?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for NeuronState {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Map)
    }
}

struct Map;

impl<'de> Visitor<'de> for Map {
    type Value = NeuronState;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a state of neurons: tensors by name, and `steps`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<NeuronState, A::Error> {
        let (mut state, mut steps) = (NeuronState::default(), None);
        while let Some(name) = map.next_key::<String>()? {
            if name == STEPS {
                steps = Some(map.next_value()?);
                continue;
            }
            if state.names().any(|other| other == name) {
                return Err(A::Error::custom(format!("`{name}` is there twice")));
            }
            let tensor = tensor(&name, map.next_value()?).map_err(A::Error::custom)?;
            state.tensors.push((name.into(), tensor));
        }
        state.steps = steps.ok_or_else(|| A::Error::missing_field(STEPS))?;
        Ok(state)
    }
}

/// A tensor of any rank from data. Returns an error where Burn would panic.
fn tensor(name: &str, data: TensorData) -> Result<DispatchTensor, String> {
    let shape: &[usize] = data.shape();
    if shape.len() < 2 {
        return Err(format!("`{name}` of shape {shape:?}, expected [1, B, ...]"));
    }
    if !data.dtype().is_float() || data.iter::<f64>().any(|value| !value.is_finite()) {
        return Err(format!(
            "`{name}` of {:?} that are not all finite, expected finite floating-point numbers",
            data.dtype()
        ));
    }
    let shape = Shape::from(shape.to_vec());
    let values: Vec<f32> = data.iter::<f32>().collect();
    if values.len() != shape.num_elements() {
        let found = values.len();
        return Err(format!("`{name}` of shape {shape:?} with {found} elements"));
    }
    let flat = Tensor::<1>::from_floats(values.as_slice(), &Device::default());
    Ok(Dispatch::float_reshape(flat.into_dispatch(), shape))
}
