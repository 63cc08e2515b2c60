//! Services of the contract, as tables.

/// A service of the contract: which operation each of its methods is. The method
/// hands the typed request to the gateway, and that is all it does. The constant
/// tells how the effects of all of them are looked for.
macro_rules! service {
    (
        $service:ident, $tracers:ident,
        unary: { $($method:ident => $operation:ty),* $(,)? },
        $(streams: { $($stream:ident, $items:ident => $pages:ty),* $(,)? },)?
        $(not_offered: {
            $($missing:ident($request:ty => $response:ty) => $name:literal),* $(,)?
        },)?
    ) => {
        /// How the effects of the service's operations are looked for.
        pub const $tracers: &[$crate::gateway::trace::Tracer] =
            &[$($crate::gateway::trace::Tracer::of::<$operation>()),*];

        #[tonic::async_trait]
        impl $service for $crate::gateway::Gateway {
            $(
                async fn $method(
                    &self,
                    request: tonic::Request<<$operation as $crate::gateway::Operation>::Request>,
                ) -> Result<
                    tonic::Response<<$operation as $crate::gateway::Operation>::Response>,
                    tonic::Status,
                > {
                    self.unary::<$operation>(request).await
                }
            )*
            $($(
                type $items =
                    $crate::gateway::Items<<$pages as $crate::gateway::Pages>::Item>;

                async fn $stream(
                    &self,
                    request: tonic::Request<<$pages as $crate::gateway::Operation>::Request>,
                ) -> Result<tonic::Response<Self::$items>, tonic::Status> {
                    self.stream::<$pages>(request).await
                }
            )*)?
            $($(
                async fn $missing(
                    &self,
                    request: tonic::Request<$request>,
                ) -> Result<tonic::Response<$response>, tonic::Status> {
                    self.not_offered($name, request).await
                }
            )*)?
        }
    };
}

pub(crate) use service;
