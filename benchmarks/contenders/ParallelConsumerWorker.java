import io.confluent.parallelconsumer.ParallelConsumerOptions;
import io.confluent.parallelconsumer.ParallelConsumerOptions.CommitMode;
import io.confluent.parallelconsumer.ParallelConsumerOptions.ProcessingOrder;
import io.confluent.parallelconsumer.ParallelStreamProcessor;
import java.io.IOException;
import java.io.Reader;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Confluent Parallel Consumer in KEY order: one PUT for each customer change, then its outcome. */
public final class ParallelConsumerWorker {
    private final HttpClient http = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
    private final Properties tokens = new Properties();
    private final String baseUrl;
    private final String input;
    private final String results;

    private ParallelConsumerWorker(String baseUrl, String input, String results, Path tokenFile)
            throws IOException {
        this.baseUrl = baseUrl;
        this.input = input;
        this.results = results;
        try (Reader reader = Files.newBufferedReader(tokenFile)) {
            tokens.load(reader);
        }
    }

    /** Arguments: bootstrap, group, input, results, base URL, calls in flight, tokens, ready file. */
    public static void main(String[] given) throws Exception {
        ParallelConsumerWorker worker =
                new ParallelConsumerWorker(given[4], given[2], given[3], Path.of(given[6]));
        Map<String, Object> reading = Map.of(
                "bootstrap.servers", given[0],
                "group.id", given[1],
                "enable.auto.commit", "false",
                "auto.offset.reset", "earliest",
                "key.deserializer", ByteArrayDeserializer.class,
                "value.deserializer", ByteArrayDeserializer.class);
        Map<String, Object> writing = Map.of(
                "bootstrap.servers", given[0],
                "acks", "all",
                "linger.ms", "5",
                "key.serializer", ByteArraySerializer.class,
                "value.serializer", ByteArraySerializer.class);
        ParallelConsumerOptions<byte[], byte[]> options = ParallelConsumerOptions.<byte[], byte[]>builder()
                .ordering(ProcessingOrder.KEY)
                .maxConcurrency(Integer.parseInt(given[5]))
                .commitMode(CommitMode.PERIODIC_CONSUMER_ASYNCHRONOUS)
                .consumer(new KafkaConsumer<>(reading))
                .producer(new KafkaProducer<>(writing))
                .build();
        ParallelStreamProcessor<byte[], byte[]> processor =
                ParallelStreamProcessor.createEosStreamProcessor(options);
        processor.subscribe(List.of(given[2]));
        processor.pollAndProduce(context -> worker.change(context.getSingleConsumerRecord()));
        Files.createFile(Path.of(given[7]));
        Thread.currentThread().join();
    }

    private ProducerRecord<byte[], byte[]> change(ConsumerRecord<byte[], byte[]> record) {
        String event = new String(record.value(), StandardCharsets.UTF_8);
        String company = member(event, "company");
        String number = member(event, "number");
        HttpRequest request = HttpRequest.newBuilder(URI.create(baseUrl + "/customer/" + number))
                .header("Authorization", "Bearer " + tokens.getProperty(company))
                .header("Content-Type", "application/json")
                .PUT(HttpRequest.BodyPublishers.ofString(body(event)))
                .build();
        boolean done = false;
        try {
            done = http.send(request, HttpResponse.BodyHandlers.ofByteArray()).statusCode() < 300;
        } catch (IOException error) {
            done = false;
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
        }
        String id = new String(record.headers().lastHeader("ce_id").value(), StandardCharsets.UTF_8);
        String outcome = "{\"deliveryId\":\"" + id + "\",\"outcome\":\"" + (done ? "applied" : "dead")
                + "\",\"final\":true,\"company\":\"" + company + "\",\"integration\":\"" + company
                + "-dk\",\"system\":\"dkplus\",\"entity\":{\"type\":\"customer\",\"number\":\"" + number
                + "\"},\"event\":{\"id\":\"" + id + "\",\"topic\":\"" + input + "\",\"partition\":"
                + record.partition() + ",\"offset\":" + record.offset() + "},\"reference\":{\"id\":\""
                + number + "\",\"number\":\"" + number + "\"},\"attempts\":1}";
        return new ProducerRecord<>(results, record.key(), outcome.getBytes(StandardCharsets.UTF_8));
    }

    private static String body(String event) {
        String city = member(event, "city");
        return "{\"Name\":\"" + member(event, "name") + "\",\"Blocked\":false,\"Phone\":\""
                + member(event, "phone") + "\",\"Address1\":\"" + member(event, "line1")
                + "\",\"Address3\":\"" + city + "\",\"ZipCode\":\"" + member(event, "postalCode")
                + "\",\"City\":\"" + city + "\",\"CountryCode\":\"" + member(event, "countryCode") + "\"}";
    }

    /** A member of the load's own events, which hold no escapes. */
    private static String member(String json, String name) {
        String sought = "\"" + name + "\":\"";
        int from = json.indexOf(sought) + sought.length();
        return json.substring(from, json.indexOf('"', from));
    }
}
