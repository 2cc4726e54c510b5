//! Enums of modules without their own path segment.

/// Implements Burn's `Module` for an enum whose variants hold a module each. Unlike the derived implementation, it adds no
/// segment to the paths of parameters: weights have the names of the wrapped module.
#[doc(hidden)]
#[macro_export]
macro_rules! transparent_module {
    ($name:ident: $($variant:ident),+ $(,)?) => {
        const _: () = {
            use ::burn::module::{
                Content, Devices, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper, ModuleVisitor,
            };
            use ::burn::tensor::Device;

            macro_rules! each {
                ($self:expr, $inside:ident => $call:expr) => {
                    match $self {
                        $($name::$variant($inside) => $call,)+
                    }
                };
                ($self:expr, $inside:ident => wrapped $call:expr) => {
                    match $self {
                        $($name::$variant($inside) => $name::$variant($call),)+
                    }
                };
            }

            impl Module for $name {
                fn collect_devices(&self, devices: Devices) -> Devices {
                    each!(self, module => module.collect_devices(devices))
                }

                fn fork(self, device: &Device) -> Self {
                    each!(self, module => wrapped module.fork(device))
                }

                fn to_device(self, device: &Device) -> Self {
                    each!(self, module => wrapped module.to_device(device))
                }

                fn train(self) -> Self {
                    each!(self, module => wrapped module.train())
                }

                fn valid(&self) -> Self {
                    each!(self, module => wrapped module.valid())
                }

                fn materialize(self) -> Self {
                    each!(self, module => wrapped module.materialize())
                }

                fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
                    each!(self, module => module.visit(visitor));
                }

                fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
                    each!(self, module => wrapped module.map(mapper))
                }
            }

            impl ModuleDisplayDefault for $name {
                fn content(&self, content: Content) -> Option<Content> {
                    each!(self, module => module.content(content))
                }

                fn num_params(&self) -> usize {
                    Module::num_params(self)
                }
            }

            impl ModuleDisplay for $name {}

            impl ::std::fmt::Display for $name {
                fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                    f.write_str(&ModuleDisplay::format(self, Default::default()))
                }
            }
        };
    };
}
