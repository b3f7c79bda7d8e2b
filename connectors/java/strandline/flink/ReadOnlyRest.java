package strandline.flink;

import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.apache.flink.configuration.ConfigOption;
import org.apache.flink.configuration.ConfigOptions;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.runtime.io.network.netty.InboundChannelHandlerFactory;
import org.apache.flink.shaded.netty4.io.netty.channel.ChannelFutureListener;
import org.apache.flink.shaded.netty4.io.netty.channel.ChannelHandler;
import org.apache.flink.shaded.netty4.io.netty.channel.ChannelHandlerAdapter;
import org.apache.flink.shaded.netty4.io.netty.channel.ChannelHandlerContext;
import org.apache.flink.shaded.netty4.io.netty.channel.ChannelInboundHandlerAdapter;
import org.apache.flink.shaded.netty4.io.netty.handler.codec.http.DefaultFullHttpResponse;
import org.apache.flink.shaded.netty4.io.netty.handler.codec.http.HttpHeaderNames;
import org.apache.flink.shaded.netty4.io.netty.handler.codec.http.HttpMethod;
import org.apache.flink.shaded.netty4.io.netty.handler.codec.http.HttpRequest;
import org.apache.flink.shaded.netty4.io.netty.handler.codec.http.HttpResponseStatus;
import org.apache.flink.shaded.netty4.io.netty.handler.codec.http.HttpServerCodec;
import org.apache.flink.shaded.netty4.io.netty.handler.codec.http.HttpVersion;
import org.apache.flink.shaded.netty4.io.netty.util.ReferenceCountUtil;

/**
 * The REST interface of a run on this machine: every local user reaches it, so it answers questions
 * and nothing else. Flink has switches for a part of that; it would still cancel jobs, take new
 * ones and end itself. A request of a page in a browser is refused, too: by its origin, or by the
 * name that it took for this machine.
 */
public final class ReadOnlyRest implements InboundChannelHandlerFactory {
    /** none: leave REST as it is; answers: only the API; page: Flink's web page, too. */
    static final ConfigOption<String> REST =
            ConfigOptions.key("strandline.rest").stringType().defaultValue("none");
    private static final Set<String> API =
            Set.of("config", "jobmanager", "jobs", "overview", "taskmanagers");
    private static final Set<String> HERE = Set.of("localhost", "127.0.0.1", "[::1]");

    @Override
    public int priority() {
        return 0;
    }

    @Override
    public Optional<ChannelHandler> createHandler(
            Configuration configuration, Map<String, String> responseHeaders) {
        String rest = configuration.get(REST);
        return rest.equals("none")
                ? Optional.empty()
                : Optional.of(new Placed(rest.equals("page")));
    }

    static boolean allows(HttpRequest request, boolean page) {
        String host = request.headers().get(HttpHeaderNames.HOST, "");
        return request.method().equals(HttpMethod.GET)
                && !request.headers().contains(HttpHeaderNames.ORIGIN)
                && HERE.contains(host.replaceFirst(":\\d+$", ""))
                && (page || API.contains(subject(request.uri())));
    }

    /** The first part of a path without the API's version: jobs of /v1/jobs/overview. */
    private static String subject(String uri) {
        String[] parts = uri.replaceFirst("^/v1(?=/)", "").split("[/?]", 3);
        return parts.length > 1 ? parts[1] : "";
    }

    /** Flink adds handlers behind the one that writes uploads into files; this goes before it. */
    private static final class Placed extends ChannelHandlerAdapter {
        private final boolean page;

        Placed(boolean page) {
            this.page = page;
        }

        @Override
        public void handlerAdded(ChannelHandlerContext context) {
            String codec = context.pipeline().context(HttpServerCodec.class).name();
            context.pipeline().addAfter(codec, "read-only", new Guard(page));
        }
    }

    private static final class Guard extends ChannelInboundHandlerAdapter {
        private final boolean page;
        private boolean refused;

        Guard(boolean page) {
            this.page = page;
        }

        @Override
        public void channelRead(ChannelHandlerContext context, Object message) {
            if (!refused && (!(message instanceof HttpRequest request) || allows(request, page))) {
                context.fireChannelRead(message);
                return;
            }
            ReferenceCountUtil.release(message);
            if (!refused) {
                refused = true; // and so is what follows on this connection, until it is closed
                var answer = new DefaultFullHttpResponse(
                        HttpVersion.HTTP_1_1, HttpResponseStatus.FORBIDDEN);
                answer.headers().set(HttpHeaderNames.CONTENT_LENGTH, 0);
                context.writeAndFlush(answer).addListener(ChannelFutureListener.CLOSE);
            }
        }
    }
}
