// An independent worker on @grpc/grpc-js, with the tools and the resource of worker.py.
import { createRequire } from 'node:module';
import path from 'node:path';
import url from 'node:url';

// The packages are those of the app, in the working directory.
const require = createRequire(path.join(process.cwd(), 'app.js'));
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

const file = path.join(path.dirname(url.fileURLToPath(import.meta.url)), 'function_rpc.proto');
const definition = loader.loadSync(file, { keepCase: true, longs: Number, enums: String, defaults: true, oneofs: true });
const { FunctionRpc } = grpc.loadPackageDefinition(definition).AzureFunctionsRpcMessages;
const given = (name) => process.argv[process.argv.indexOf(name) + 1];

const property = (propertyName, propertyType) => ({ propertyName, propertyType, description: '', isRequired: true, isArray: false });
const tool = (toolName, ...properties) => ({ type: 'mcpToolTrigger', toolName, description: toolName, toolProperties: JSON.stringify(properties) });
const cancelled = new Map();
const wait = (id) => new Promise((resolve) => cancelled.set(id, resolve));

const functions = {
    Echo: [tool('echo', property('message', 'string')), (context) => ({ string: context })],
    Size: [tool('size', property('message', 'string')), (context) => ({ int: JSON.parse(context).arguments.message.length })],
    Big: [tool('big', property('bytes', 'integer')), (context) => ({ string: 'x'.repeat(JSON.parse(context).arguments.bytes) })],
    List: [tool('list'), () => ({ collection_sint64: { sint64: [1, -2] } })],
    Whole: [tool('whole'), (_, id) => {
        const properties_map = { progress: { double: 1 }, total: { double: 2 } };
        stream.write({ rpc_log: { invocation_id: id, category: 'Whole', level: 'Information', message: 'half', properties_map } });
        return { double: 1.5 };
    }],
    Patient: [tool('patient'), async (_, id) => {
        await wait(id);
        console.log('patience was cancelled');
        return { string: 'cancelled' };
    }],
    Fail: [tool('fail'), () => { throw new Error('kaput'); }],
    Bytes: [
        { type: 'mcpResourceTrigger', uri: 'file://bytes', resourceName: 'bytes', mimeType: 'a/b' },
        () => ({ bytes: Buffer.concat(Array(12_000).fill(Buffer.from([...Array(256).keys()]))) }),
    ],
};

const SUCCESS = { status: 'Success' };
const describe = ([name, [binding]]) => ({
    name, function_id: name, language: 'node', entry_point: name, bindings: { context: { type: binding.type } },
    raw_bindings: [JSON.stringify({ ...binding, name: 'context', direction: 'in' })],
});

async function invoke(request_id, { invocation_id, function_id, input_data }) {
    const response = { invocation_id, result: SUCCESS };
    try {
        response.return_value = await functions[function_id][1](input_data[0].data.string, invocation_id);
    } catch (error) {
        response.result = { status: 'Failure', exception: { message: error.message, stack_trace: error.stack } };
    }
    stream.write({ request_id, invocation_response: response });
}

const target = given('--functions-uri').replace(/^http:\/\/|\/$/g, '');
const limits = { 'grpc.max_receive_message_length': -1, 'grpc.max_send_message_length': -1 };
const stream = new FunctionRpc(target, grpc.credentials.createInsecure(), limits).EventStream();
stream.on('data', (message) => {
    const { request_id, content } = message;
    const known = ['TypedDataCollection', 'WorkerStatus', 'HandlesWorkerTerminateMessage', 'HandlesInvocationCancelMessage'];
    switch (content) {
        case 'worker_init_request':
            return stream.write({ request_id, worker_init_response: { capabilities: Object.fromEntries(known.map((name) => [name, 'true'])), result: SUCCESS } });
        case 'functions_metadata_request':
            return stream.write({ request_id, function_metadata_response: { function_metadata_results: Object.entries(functions).map(describe), result: SUCCESS } });
        case 'function_load_request':
            return stream.write({ request_id, function_load_response: { function_id: message.function_load_request.function_id, result: SUCCESS } });
        case 'invocation_request':
            return invoke(request_id, message.invocation_request);
        case 'invocation_cancel':
            return cancelled.get(message.invocation_cancel.invocation_id)?.();
        case 'worker_status_request':
            return stream.write({ request_id, worker_status_response: {} });
        case 'worker_terminate':
            console.log('asked to end');
            return stream.end();
    }
});
stream.on('end', () => process.exit(0));
stream.on('error', () => process.exit(1));
stream.write({ request_id: given('--functions-request-id'), start_stream: { worker_id: given('--functions-worker-id') } });
