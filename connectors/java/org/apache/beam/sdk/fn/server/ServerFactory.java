package org.apache.beam.sdk.fn.server;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.apache.beam.model.pipeline.v1.Endpoints.ApiServiceDescriptor;
import org.apache.beam.sdk.fn.channel.SocketAddressFactory;
import org.apache.beam.vendor.grpc.v1p60p1.io.grpc.BindableService;
import org.apache.beam.vendor.grpc.v1p60p1.io.grpc.Server;
import org.apache.beam.vendor.grpc.v1p60p1.io.grpc.ServerInterceptors;
import org.apache.beam.vendor.grpc.v1p60p1.io.grpc.netty.NettyServerBuilder;

/**
 * Takes the place of Beam's class of this name: the servers that a Python process of process mode
 * talks to. Beam's computes the loopback address and listens on all of them; nothing of Flink's or
 * Beam's settings changes that. Our jar stands before Beam's on the class path.
 */
public abstract class ServerFactory {
    private static final long KEEP_ALIVE_S = 19; // as Beam's: clients send more often than others

    public static ServerFactory createDefault() {
        return new Loopback();
    }

    public abstract Server allocateAddressAndCreate(
            List<BindableService> services, ApiServiceDescriptor.Builder address)
            throws IOException;

    public abstract Server create(List<BindableService> services, ApiServiceDescriptor address)
            throws IOException;

    private static final class Loopback extends ServerFactory {
        @Override
        public Server allocateAddressAndCreate(
                List<BindableService> services, ApiServiceDescriptor.Builder address)
                throws IOException {
            InetAddress here = InetAddress.getLoopbackAddress();
            Server server = started(services, new InetSocketAddress(here, 0));
            address.setUrl(here.getHostAddress() + ":" + server.getPort());
            return server;
        }

        @Override
        public Server create(List<BindableService> services, ApiServiceDescriptor address)
                throws IOException {
            var named = SocketAddressFactory.createFrom(address.getUrl());
            return started(services, (InetSocketAddress) named);
        }

        private static Server started(List<BindableService> services, InetSocketAddress address)
                throws IOException {
            NettyServerBuilder builder = NettyServerBuilder.forAddress(address)
                    .maxInboundMessageSize(Integer.MAX_VALUE)
                    .permitKeepAliveTime(KEEP_ALIVE_S, TimeUnit.SECONDS);
            for (BindableService service : services) {
                builder.addService(ServerInterceptors.intercept(
                        service, GrpcContextHeaderAccessorProvider.interceptor()));
            }
            return builder.build().start();
        }
    }
}
