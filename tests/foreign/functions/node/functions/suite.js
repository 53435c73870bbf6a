// The tools, resources and prompts of the public conformance suite that a function app can offer.
'use strict';

const { app, promptArg, McpAudioContent, McpImageContent, McpResourceContent, McpTextContent, McpToolResponse } = require('@azure/functions');

const png = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
const wav = Buffer.concat([
    Buffer.from('RIFF\x26\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0', 'latin1'),
    Buffer.from([0x80, 0x3e, 0, 0, 2, 0, 16, 0]),
    Buffer.from('data\x02\0\0\0\0\0', 'latin1'),
]).toString('base64');
const image = () => new McpImageContent({ data: png, mimeType: 'image/png' });
const embedded = (uri, mimeType, text) => new McpResourceContent({ resource: { uri, mimeType, text } });
const wait = (time) => new Promise((resolve) => setTimeout(resolve, time));
const tool = (toolName, description, handler) =>
    app.mcpTool(toolName.replace(/^test_/, ''), { toolName, description, toolProperties: {}, handler });
const resource = (name, uri, mimeType, handler) => app.mcpResource(name, { uri, resourceName: name, description: name, mimeType, handler });

tool('test_simple_text', 'One text', () => 'This is a simple text response for testing.');
tool('test_image_content', 'One image', () => image());
tool('test_audio_content', 'One sound', () => new McpAudioContent({ data: wav, mimeType: 'audio/wav' }));
tool('test_embedded_resource', 'One embedded resource', () => embedded('test://embedded-resource', 'text/plain', 'This is an embedded resource content.'));
tool('test_multiple_content_types', 'A text, an image and a resource', () => new McpToolResponse({
    content: [
        new McpTextContent('Multiple content types test:'), image(),
        embedded('test://mixed-content-resource', 'application/json', '{"test":"data","value":123}'),
    ],
}));
tool('test_error_handling', 'Fails on purpose', () => {
    throw new Error('This tool intentionally returns an error for testing');
});
tool('test_tool_with_progress', 'Tells of its progress', async (_, context) => {
    for (const progress of [0, 50, 100]) {
        context.progress(progress, 100, 'step');
        await wait(50);
    }
    return 'Done.';
});
tool('test_tool_with_logging', 'Writes three messages to the log of the client', async (_, context) => {
    for (const message of ['Tool execution started', 'Tool processing data', 'Tool execution completed']) {
        context.log(message);
        await wait(50);
    }
    return 'Logged.';
});
tool('test_logging_tool', 'Writes to the log of the client, if it wants that', async (_, context) => {
    context.log('Tool execution started');
    await wait(50);
    context.log('Tool execution completed');
    return 'Logged.';
});
resource('static_text', 'test://static-text', 'text/plain', () => 'This is the content of the static text resource.');
resource('static_binary', 'test://static-binary', 'image/png', () => Buffer.from(png, 'base64'));
resource('watched', 'test://watched-resource', 'text/plain', () => 'Watch me.');
resource('template', 'test://template/{id}/data', 'application/json', (call) => {
    const id = call.uri.split('/').at(-2);
    return JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` });
});
app.mcpPrompt('simple_prompt', { promptName: 'test_simple_prompt', description: 'No arguments', handler: () => 'This is a simple prompt for testing.' });
app.mcpPrompt('prompt_with_arguments', {
    promptName: 'test_prompt_with_arguments',
    description: 'Two arguments',
    promptArguments: { arg1: promptArg.describe('the first').isRequired(), arg2: promptArg.describe('the second').isRequired() },
    handler: ({ arguments: { arg1, arg2 } }) => `Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`,
});
