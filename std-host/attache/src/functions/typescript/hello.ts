// A function app with one tool, one resource and one prompt.

import { app, arg, InvocationContext, promptArg, PromptInvocationContext } from '@azure/functions';

app.mcpTool('hello', {
    toolName: 'hello',
    description: 'Greets a person.',
    toolProperties: { name: arg.string().describe('Name of the person to greet') },
    handler: async (call: unknown, context: InvocationContext) => {
        const { name } = (call as { arguments: { name: string } }).arguments;
        context.log(`greeting ${name}`);
        return `Hello, ${name}!`;
    },
});

app.mcpResource('languages', {
    uri: 'hello://languages',
    resourceName: 'languages',
    description: 'Languages of greetings',
    mimeType: 'text/plain',
    handler: async () => 'English',
});

app.mcpPrompt('greet', {
    promptName: 'greet',
    description: 'Asks for a greeting',
    promptArguments: { name: promptArg.describe('Name of the person').isRequired() },
    handler: async (call: unknown) =>
        `Write a short and friendly greeting for ${(call as PromptInvocationContext).arguments?.name}.`,
});
