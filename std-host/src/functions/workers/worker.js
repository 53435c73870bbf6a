// Runs the functions of a Node.js app for its host: one FunctionRpc stream over HTTP/2.
//
// The host starts this file when no official worker is found. It needs nothing but Node.js and the package
// `@azure/functions` of the app (v4 programming model).
'use strict';

const fs = require('node:fs');
const http2 = require('node:http2');
const Module = require('node:module');
const path = require('node:path');
const url = require('node:url');

// Fields of the messages: number, name, kind. Kinds: s string, b bytes, v varint, z zigzag, d double, a message by
// its name, *KIND repeated, m:KIND map from strings.
const FIELDS = {
    StreamingMessage: [
        [1, 'requestId', 's'], [2, 'rpcLog', 'RpcLog'], [4, 'invocationRequest', 'InvocationRequest'],
        [5, 'invocationResponse', 'InvocationResponse'], [8, 'functionLoadRequest', 'FunctionLoadRequest'],
        [9, 'functionLoadResponse', 'FunctionLoadResponse'], [12, 'workerStatusRequest', 'Empty'],
        [13, 'workerStatusResponse', 'Empty'], [14, 'workerTerminate', 'Empty'], [16, 'workerInitResponse', 'WorkerInitResponse'],
        [17, 'workerInitRequest', 'WorkerInitRequest'], [20, 'startStream', 'StartStream'],
        [21, 'invocationCancel', 'InvocationCancel'],
        [29, 'functionsMetadataRequest', 'FunctionsMetadataRequest'], [30, 'functionMetadataResponse', 'FunctionMetadataResponse'],
    ],
    Empty: [],
    StartStream: [[2, 'workerId', 's']],
    WorkerInitRequest: [[1, 'hostVersion', 's'], [5, 'functionAppDirectory', 's']],
    WorkerInitResponse: [[2, 'capabilities', 'm:s'], [3, 'result', 'StatusResult'], [4, 'workerMetadata', 'WorkerMetadata']],
    WorkerMetadata: [[1, 'runtimeName', 's'], [2, 'runtimeVersion', 's'], [3, 'workerVersion', 's'], [4, 'workerBitness', 's']],
    StatusResult: [[4, 'status', 'v'], [2, 'exception', 'RpcException']],
    RpcException: [[3, 'source', 's'], [1, 'stackTrace', 's'], [2, 'message', 's']],
    FunctionsMetadataRequest: [[1, 'functionAppDirectory', 's']],
    FunctionMetadataResponse: [[1, 'functionMetadataResults', '*RpcFunctionMetadata'], [2, 'result', 'StatusResult']],
    RpcFunctionMetadata: [
        [4, 'name', 's'], [1, 'directory', 's'], [2, 'scriptFile', 's'], [6, 'bindings', 'm:BindingInfo'], [9, 'language', 's'],
        [10, 'rawBindings', '*s'], [13, 'functionId', 's'],
    ],
    BindingInfo: [[2, 'type', 's'], [3, 'direction', 'v'], [5, 'properties', 'm:s']],
    FunctionLoadRequest: [[1, 'functionId', 's'], [2, 'metadata', 'RpcFunctionMetadata']],
    FunctionLoadResponse: [[1, 'functionId', 's'], [2, 'result', 'StatusResult']],
    InvocationRequest: [
        [1, 'invocationId', 's'], [2, 'functionId', 's'], [3, 'inputData', '*ParameterBinding'], [4, 'triggerMetadata', 'm:TypedData'],
        [5, 'traceContext', 'RpcTraceContext'],
    ],
    InvocationResponse: [
        [1, 'invocationId', 's'], [2, 'outputData', '*ParameterBinding'], [3, 'result', 'StatusResult'], [4, 'returnValue', 'TypedData'],
    ],
    InvocationCancel: [[2, 'invocationId', 's']],
    ParameterBinding: [[1, 'name', 's'], [2, 'data', 'TypedData']],
    TypedData: [
        [1, 'string', 's'], [2, 'json', 's'], [3, 'bytes', 'b'], [4, 'stream', 'b'], [5, 'http', 'RpcHttp'], [6, 'int', 'z'], [7, 'double', 'd'],
    ],
    RpcHttp: [
        [1, 'method', 's'], [2, 'url', 's'], [3, 'headers', 'm:s'], [4, 'body', 'TypedData'], [10, 'params', 'm:s'],
        [12, 'statusCode', 's'], [15, 'query', 'm:s'], [16, 'enableContentNegotiation', 'v'], [19, 'cookies', '*RpcHttpCookie'],
    ],
    RpcHttpCookie: [
        [1, 'name', 's'], [2, 'value', 's'], [3, 'domain', 'NullableString'], [4, 'path', 'NullableString'],
        [5, 'expires', 'NullableTimestamp'], [6, 'secure', 'NullableBool'], [7, 'httpOnly', 'NullableBool'], [8, 'sameSite', 'v'],
        [9, 'maxAge', 'NullableDouble'],
    ],
    NullableString: [[1, 'value', 's']],
    NullableBool: [[1, 'value', 'v']],
    NullableDouble: [[1, 'value', 'd']],
    NullableTimestamp: [[1, 'value', 'Timestamp']],
    Timestamp: [[1, 'seconds', 'v']],
    RpcTraceContext: [[1, 'traceParent', 's'], [2, 'traceState', 's'], [3, 'attributes', 'm:s']],
    RpcLog: [
        [1, 'invocationId', 's'], [2, 'category', 's'], [3, 'level', 'v'], [4, 'message', 's'], [8, 'logCategory', 'v'],
        [9, 'propertiesMap', 'm:TypedData'],
    ],
};
const LEVELS = ['trace', 'debug', 'information', 'warning', 'error', 'critical', 'none'];
const LOG_CATEGORIES = ['user', 'system', 'customMetric'];
const DIRECTIONS = ['in', 'out', 'inout'];
const SAME_SITE = ['none', 'lax', 'strict', 'explicitNone'];
const SUCCESS = 1;
// Bytes that the host may send before it waits for a window update.
const WINDOW = 16 * 1024 * 1024;

function varint(number) {
    let rest = BigInt.asUintN(64, BigInt(number));
    const bytes = [];
    for (; rest > 0x7fn; rest >>= 7n) {
        bytes.push(Number(rest & 0x7fn) | 0x80);
    }
    bytes.push(Number(rest));
    return Buffer.from(bytes);
}

function delimited(number, bytes) {
    return Buffer.concat([varint((number << 3) | 2), varint(bytes.length), bytes]);
}

function encodeField(number, kind, value) {
    if (kind.startsWith('*')) {
        return Buffer.concat(value.map((one) => encodeField(number, kind.slice(1), one)));
    }
    if (kind.startsWith('m:')) {
        const entry = ([key, one]) => Buffer.concat([encodeField(1, 's', key), encodeField(2, kind.slice(2), one)]);
        return Buffer.concat(Object.entries(value).map((pair) => delimited(number, entry(pair))));
    }
    switch (kind) {
        case 'v':
            return Buffer.concat([varint(number << 3), varint(value)]);
        case 'z': {
            const integer = BigInt(value);
            return Buffer.concat([varint(number << 3), varint((integer << 1n) ^ (integer >> 63n))]);
        }
        case 'd': {
            const bytes = Buffer.alloc(8);
            bytes.writeDoubleLE(value);
            return Buffer.concat([varint((number << 3) | 1), bytes]);
        }
        case 's':
            return delimited(number, Buffer.from(String(value)));
        case 'b':
            return delimited(number, Buffer.from(value));
        default:
            return delimited(number, encode(kind, value));
    }
}

function encode(name, message) {
    const isSet = ([, field]) => message[field] !== undefined && message[field] !== null;
    return Buffer.concat(FIELDS[name].filter(isSet).map(([number, field, kind]) => encodeField(number, kind, message[field])));
}

function readVarint(data, at) {
    let number = 0n;
    for (let shift = 0n; ; shift += 7n) {
        const byte = data[at++];
        if (byte === undefined) {
            throw new RangeError('a message of the host is cut off');
        }
        number |= BigInt(byte & 0x7f) << shift;
        if (byte < 0x80) {
            return [number, at];
        }
    }
}

function decodeValue(kind, raw) {
    switch (kind) {
        case 'v':
            return Number(raw);
        case 'z':
            return Number((raw >> 1n) ^ -(raw & 1n));
        case 'd':
            return raw.readDoubleLE();
        case 's':
            return raw.toString();
        case 'b':
            return raw;
        default:
            return decode(kind, raw);
    }
}

function* readFields(data) {
    for (let at = 0; at < data.length; ) {
        let key, raw;
        [key, at] = readVarint(data, at);
        const wire = Number(key & 7n);
        if (wire === 0) {
            [raw, at] = readVarint(data, at);
        } else {
            let length = { 1: 8, 5: 4 }[wire];
            if (length === undefined) {
                [length, at] = readVarint(data, at);
            }
            raw = data.subarray(at, (at += Number(length)));
        }
        yield [Number(key >> 3n), raw];
    }
}

function decode(name, data) {
    const message = {};
    for (const [number, raw] of readFields(data)) {
        const [, field, kind] = FIELDS[name].find(([known]) => known === number) ?? [];
        if (field === undefined) {
            continue;
        }
        if (kind.startsWith('*')) {
            (message[field] ??= []).push(decodeValue(kind.slice(1), raw));
        } else if (kind.startsWith('m:')) {
            const entry = Object.fromEntries(readFields(raw));
            const value = entry[2] ?? Buffer.alloc(0);
            (message[field] ??= {})[(entry[1] ?? '').toString()] = decodeValue(kind.slice(2), value);
        } else {
            message[field] = decodeValue(kind, raw);
        }
    }
    return message;
}

function argument(name) {
    const at = process.argv.indexOf(name);
    if (at < 0) {
        throw new Error(`${name} is missing: this file is started by its host`);
    }
    return process.argv[at + 1];
}

// The module that `@azure/functions` finds as `@azure/functions-core`.
const functions = new Map();
const hooks = { appStart: [], appTerminate: [], preInvocation: [], postInvocation: [], log: [] };
const appHookData = {};
let model;
let hostVersion = '';
let isIndexed = false;

class Disposable {
    constructor(dispose) {
        this.dispose = dispose ?? (() => {});
    }
    static from(...disposables) {
        return new Disposable(() => disposables.forEach((one) => one?.dispose?.()));
    }
}

const core = {
    version: '1.0.0',
    get hostVersion() {
        return hostVersion;
    },
    setProgrammingModel: (set) => (model = set),
    getProgrammingModel: () => model,
    registerFunction(metadata, callback) {
        if (isIndexed) {
            throw new Error(`The function "${metadata.name}" cannot be added after the start of the app.`);
        }
        const id = metadata.functionId ?? metadata.name;
        if (functions.has(id)) {
            throw new Error(`A function with the name "${metadata.name}" was added before. Function names must be unique.`);
        }
        functions.set(id, { metadata, callback });
        return new Disposable(() => functions.delete(id));
    },
    registerHook(name, callback) {
        if (!hooks[name]) {
            throw new RangeError(`There is no hook "${name}"`);
        }
        hooks[name].push(callback);
        return new Disposable(() => (hooks[name] = hooks[name].filter((one) => one !== callback)));
    },
    log: (level, category, message) => log('', 'Worker', level, category, message),
    Disposable,
};

const load = Module._load;
Module._load = function (request, ...rest) {
    return request === '@azure/functions-core' ? core : load.call(this, request, ...rest);
};

function log(invocationId, name, level, category, message) {
    for (const hook of hooks.log) {
        const context = { level, category, message, invocationContext: undefined, hookData: {}, appHookData };
        hook(context);
        ({ level, message } = context);
    }
    send({ rpcLog: {
        invocationId, category: name, level: Math.max(0, LEVELS.indexOf(level)), message,
        logCategory: Math.max(0, LOG_CATEGORIES.indexOf(category)),
    } });
}

async function runHooks(name, context) {
    for (const hook of hooks[name]) {
        await hook(context);
    }
}

// A pattern of `main` as a regular expression: `*`, `**`, `?` and `{a,b}`.
function pattern(glob) {
    let depth = 0;
    const parts = glob.match(/\*\*\/|\*\*|\*|\?|[{},]|[^*?{},]+/g) ?? [];
    const translated = parts.map((part) => {
        switch (part) {
            case '**/': return '(?:[^/]+/)*';
            case '**': return '.*';
            case '*': return '[^/]*';
            case '?': return '[^/]';
            case '{': depth++; return '(?:';
            case '}': depth--; return ')';
            case ',': return depth > 0 ? '|' : ',';
            default: return part.replace(/[.+^$()|[\]\\]/g, '\\$&');
        }
    });
    return new RegExp(`^${translated.join('')}$`);
}

function* walk(directory, prefix = '') {
    for (const entry of fs.readdirSync(path.join(directory, prefix), { withFileTypes: true })) {
        const name = prefix + entry.name;
        if (entry.isDirectory() && entry.name !== 'node_modules' && !entry.name.startsWith('.')) {
            yield* walk(directory, `${name}/`);
        } else if (!entry.isDirectory()) {
            yield name;
        }
    }
}

// The files that `main` of package.json names, sorted.
function mainFiles(directory) {
    const main = packageOf(directory).main;
    if (!main) {
        return [];
    }
    const named = main.replace(/^\.\//, '');
    if (!/[*?{]/.test(named)) {
        return [named];
    }
    const matches = pattern(named);
    return [...walk(directory)].filter((file) => matches.test(file)).sort();
}

function packageOf(directory) {
    const file = path.join(directory, 'package.json');
    return fs.existsSync(file) ? JSON.parse(fs.readFileSync(file, 'utf8')) : {};
}

let failed;

async function loadApp(directory) {
    try {
        const files = mainFiles(directory);
        if (files.length === 0) {
            const main = packageOf(directory).main;
            throw new Error(main ? `No file matches "main" of package.json: ${main}` : 'package.json has no "main", which names the files with the functions');
        }
        for (const file of files) {
            const whole = path.resolve(directory, file);
            const isModule = file.endsWith('.mjs') || (!file.endsWith('.cjs') && packageOf(directory).type === 'module');
            await (isModule ? import(url.pathToFileURL(whole).href) : require(whole));
        }
        await runHooks('appStart', { functionAppDirectory: directory, hostVersion, workerVersion: core.version, hookData: {}, appHookData });
    } catch (error) {
        failed = error;
    }
}

const failure = (thrown) => {
    const error = thrown instanceof Error ? thrown : new Error(typeof thrown === 'string' ? thrown : String(thrown));
    return { status: 0, exception: { message: error.message || error.name, stackTrace: error.stack ?? '', source: 'node' } };
};

const handlers = {
    async workerInitRequest(requestId, request) {
        hostVersion = request.hostVersion ?? '';
        await loadApp(request.functionAppDirectory || process.cwd());
        const known = ['RpcHttpBodyOnly', 'RawHttpBodyBytes', 'RpcHttpTriggerMetadataRemoved', 'TypedDataCollection', 'WorkerStatus', 'HandlesWorkerTerminateMessage',
            'HandlesInvocationCancelMessage'];
        const offered = Object.fromEntries(known.map((name) => [name, 'true']));
        const capabilities = (await model?.getCapabilities?.(offered)) ?? offered;
        const workerMetadata = { runtimeName: 'node', runtimeVersion: process.versions.node, workerVersion: core.version, workerBitness: process.arch };
        send({ requestId, workerInitResponse: { capabilities, result: { status: SUCCESS }, workerMetadata } });
    },
    functionsMetadataRequest(requestId, request) {
        isIndexed = true;
        if (failed) {
            send({ requestId, functionMetadataResponse: { result: failure(failed) } });
            return;
        }
        const describe = ([functionId, { metadata }]) => ({
            name: metadata.name, directory: request.functionAppDirectory || process.cwd(), language: 'node', functionId,
            bindings: Object.fromEntries(Object.entries(metadata.bindings).map(([name, binding]) =>
                [name, { type: binding.type, direction: Math.max(0, DIRECTIONS.indexOf(binding.direction)), properties: binding.properties }])),
            rawBindings: Object.entries(metadata.bindings).map(([name, binding]) => JSON.stringify({ ...binding, name })),
        });
        const functionMetadataResults = [...functions].map(describe);
        send({ requestId, functionMetadataResponse: { functionMetadataResults, result: { status: SUCCESS } } });
    },
    functionLoadRequest(requestId, { functionId }) {
        isIndexed = true;
        const missing = () => failure(failed ?? new Error(`the app has no function with the id ${functionId}`));
        send({ requestId, functionLoadResponse: { functionId, result: functions.has(functionId) ? { status: SUCCESS } : missing() } });
    },
    async invocationRequest(requestId, request) {
        const { invocationId } = request;
        const response = { invocationId };
        const abort = new AbortController();
        running.set(invocationId, abort);
        try {
            const { metadata, callback } = functions.get(request.functionId);
            const coreContext = {
                invocationId, request, metadata, state: undefined,
                log: (level, category, message) => log(invocationId, metadata.name, level, category, message),
            };
            Object.assign(response, await invoke(coreContext, callback, abort.signal), { result: { status: SUCCESS } });
        } catch (error) {
            response.result = failure(error);
        }
        running.delete(invocationId);
        for (const cookie of response.returnValue?.http?.cookies ?? []) {
            // The library names the values of the enumeration.
            cookie.sameSite = Math.max(0, SAME_SITE.indexOf(cookie.sameSite));
        }
        send({ requestId, invocationResponse: response });
    },
    invocationCancel: (requestId, { invocationId }) => running.get(invocationId)?.abort(),
    workerStatusRequest: (requestId) => send({ requestId, workerStatusResponse: {} }),
    workerTerminate: () => leave(),
};

// The calls that run, by their ids: each can be cancelled.
const running = new Map();

// What this host offers to a function beyond the platform. Other workers do not have it: a function that runs on
// both calls `context.progress?.(…)` and reads `context.signal?.aborted`.
function extend(context, { invocationId, metadata }, signal) {
    const progress = (progress, total, message = '') => {
        const numbers = Object.entries({ progress, total }).filter(([, number]) => typeof number === 'number');
        send({ rpcLog: {
            invocationId, category: metadata.name, level: LEVELS.indexOf('information'), message, logCategory: LOG_CATEGORIES.indexOf('user'),
            propertiesMap: Object.fromEntries(numbers.map(([name, double]) => [name, { double }])),
        } });
    };
    Object.defineProperties(context, { progress: { value: progress }, signal: { value: signal } });
}

async function invoke(coreContext, callback, signal) {
    const invocation = model.getInvocationModel(coreContext);
    const { context, inputs } = await invocation.getArguments();
    extend(context, coreContext, signal);
    const before = { invocationContext: context, inputs, functionCallback: callback, hookData: {}, appHookData };
    coreContext.state = 'preInvocationHooks';
    await runHooks('preInvocation', before);
    const after = { ...before, inputs: before.inputs, result: undefined, error: undefined };
    coreContext.state = 'invocation';
    try {
        after.result = await invocation.invokeFunction(context, before.inputs, before.functionCallback);
    } catch (error) {
        after.error = error;
    }
    coreContext.state = 'postInvocationHooks';
    await runHooks('postInvocation', after);
    if (after.error !== undefined && after.error !== null) {
        throw after.error;
    }
    return invocation.getResponse(context, after.result);
}

let stream;

function send(message) {
    const payload = encode('StreamingMessage', message);
    const head = Buffer.alloc(5);
    head.writeUInt32BE(payload.length, 1);
    stream.write(Buffer.concat([head, payload]));
}

function receive(message) {
    const content = Object.keys(message).find((name) => name !== 'requestId');
    Promise.resolve(handlers[content]?.(message.requestId, message[content])).catch((error) => {
        process.stderr.write(`${error.stack}\n`);
        process.exit(1);
    });
}

async function leave() {
    try {
        await runHooks('appTerminate', { hookData: {}, appHookData });
    } finally {
        process.exit(0);
    }
}

function main() {
    const [uri, workerId, requestId] = ['--functions-uri', '--functions-worker-id', '--functions-request-id'].map(argument);
    // What the app reads of its own arguments must not be the host's.
    process.argv.length = 2;
    const session = http2.connect(uri, { settings: { initialWindowSize: WINDOW, enablePush: false } });
    session.on('connect', () => session.setLocalWindowSize(WINDOW));
    session.on('error', (error) => {
        process.stderr.write(`The host cannot be reached: ${error.message}\n`);
        process.exit(1);
    });
    session.on('close', leave);
    stream = session.request({
        ':method': 'POST', ':path': '/AzureFunctionsRpcMessages.FunctionRpc/EventStream', 'content-type': 'application/grpc', te: 'trailers',
    });
    let pending = [];
    let have = 0;
    stream.on('data', (chunk) => {
        pending.push(chunk);
        have += chunk.length;
        for (;;) {
            let whole = pending[0];
            if (have < 5) {
                return;
            }
            if (whole.length < 5) {
                pending = [(whole = Buffer.concat(pending))];
            }
            const end = 5 + whole.readUInt32BE(1);
            if (have < end) {
                return;
            }
            whole = pending.length > 1 ? Buffer.concat(pending) : whole;
            pending = whole.length > end ? [whole.subarray(end)] : [];
            have -= end;
            receive(decode('StreamingMessage', whole.subarray(5, end)));
        }
    });
    stream.on('error', () => leave());
    stream.on('end', leave);
    send({ requestId, startStream: { workerId } });
}

// An error outside of a call must not end the calls that run, unless the app handles such errors itself.
process.on('unhandledRejection', (error) => process.stderr.write(`An error was not handled: ${error?.stack ?? error}\n`));

main();
